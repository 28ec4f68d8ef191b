"""Engines are measured in turns."""

from __future__ import annotations

import pytest

from harness.protocol import Reply, Request
from harness.rounds import Job, Timings, measure_rounds
from harness.worker_process import WorkerError

LONG = Request(sources=[[5, 1]], beams=2, new_tokens=8)
SHORT = Request(sources=[[5, 1]], beams=2, new_tokens=2)


class FakeWorker:
    """Takes a second per new token and call, and notes what it was asked for."""

    def __init__(self, name: str, diary: list[tuple[str, int]], *, fails_at: int = 0) -> None:
        self.name = name
        self.diary = diary
        self.fails_at = fails_at
        self.calls = 0

    def generate(self, request: Request) -> Reply:
        self.diary.append((self.name, request.new_tokens))
        self.calls += 1
        if request.new_tokens == self.fails_at:
            raise WorkerError("out of memory\nlast lines")
        return Reply(
            seconds=float(request.new_tokens * self.calls),
            tokens=[[7] * request.new_tokens],
            peak_rss_bytes=self.calls,
            file_bytes=0,
        )

    def cpu_s(self) -> float:
        return 0.0


@pytest.fixture
def diary() -> list[tuple[str, int]]:
    return []


@pytest.fixture
def timings(diary: list[tuple[str, int]]) -> Timings:
    workers = {name: FakeWorker(name, diary) for name in ("a", "b")}
    jobs = [
        Job(name="long", request=LONG, engines=["a", "b", "not loaded"]),
        Job(name="short", request=SHORT, engines=["b"]),
    ]
    timings = Timings()
    measure_rounds(workers, jobs, timings, rounds=2, settle_s=0.0)
    return timings


def test_every_engine_warms_up_and_then_they_take_turns(
    timings: Timings, diary: list[tuple[str, int]]
) -> None:
    once = [("a", 8), ("b", 8), ("b", 2)]
    assert diary == once * 3


def test_the_warm_up_is_not_counted_but_its_memory_is(timings: Timings) -> None:
    assert timings.seconds == {
        "long": {"a": [16.0, 24.0], "b": [24.0, 40.0]},
        "short": {"b": [8.0, 12.0]},
    }
    assert timings.warm_peaks == {"long": {"a": 1, "b": 1}, "short": {"b": 2}}
    assert timings.tokens["short"] == {"b": [[7, 7]]}
    assert len(timings.other_cpu_s) == 6


def test_figures_are_medians_and_none_where_nothing_was_measured(timings: Timings) -> None:
    assert timings.median_s("long", "a") == 20.0
    assert timings.median_s("short", "a") is None
    assert timings.median_s("other", "a") is None


def test_other_cores_are_an_average_over_the_measured_time() -> None:
    timings = Timings(seconds={"long": {"a": [2.0, 6.0]}}, other_cpu_s=[0.5, 1.5])
    assert timings.other_cores == 0.25
    assert Timings().other_cores == 0.0


def test_a_job_can_warm_up_with_less(diary: list[tuple[str, int]]) -> None:
    job = Job(name="long", request=LONG, engines=["a"], warm_up=SHORT)
    measure_rounds({"a": FakeWorker("a", diary)}, [job], Timings(), rounds=1, settle_s=0.0)
    assert diary == [("a", 2), ("a", 8)]


def test_an_engine_that_fails_at_a_job_is_missing_there_and_the_others_go_on(
    diary: list[tuple[str, int]],
) -> None:
    workers = {"a": FakeWorker("a", diary), "b": FakeWorker("b", diary, fails_at=8)}
    jobs = [Job(name=str(x.new_tokens), request=x, engines=["a", "b"]) for x in (SHORT, LONG)]
    timings = Timings()
    measure_rounds(workers, jobs, timings, rounds=2, settle_s=0.0)
    assert timings.missing == {"b, 8": "out of memory"}
    assert {job: sorted(row) for job, row in timings.seconds.items()} == {
        "2": ["a", "b"],
        "8": ["a"],
    }
    assert diary.count(("b", 8)) == 1
