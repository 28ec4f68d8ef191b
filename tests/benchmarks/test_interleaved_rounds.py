"""Engines are measured in turns."""

from __future__ import annotations

import pytest

from interleaved_rounds import Job, Timings, measure_rounds
from workers.line_protocol import GenerationReply, GenerationRequest

LONG = GenerationRequest(sources=[[5, 1]], beams=2, new_tokens=8)
SHORT = GenerationRequest(sources=[[5, 1]], beams=2, new_tokens=2)


class FakeWorker:
    """Takes a second per new token and call, and notes what it was asked for."""

    def __init__(self, name: str, diary: list[tuple[str, int]]) -> None:
        self.name = name
        self.diary = diary
        self.calls = 0

    def generate(self, request: GenerationRequest) -> GenerationReply:
        self.diary.append((self.name, request.new_tokens))
        self.calls += 1
        return GenerationReply(
            seconds=float(request.new_tokens * self.calls),
            tokens_per_document=[request.new_tokens],
            peak_rss_bytes=0,
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
        Job(name="long", request=LONG, engines=["a", "b"]),
        Job(name="short", request=SHORT, engines=["b"]),
    ]
    return measure_rounds(workers, jobs, rounds=2, settle_s=0.0)


def test_every_engine_warms_up_and_then_they_take_turns(
    timings: Timings, diary: list[tuple[str, int]]
) -> None:
    once = [("a", 8), ("b", 8), ("b", 2)]
    assert diary == once * 3


def test_the_warm_up_is_not_counted(timings: Timings) -> None:
    assert timings.seconds == {
        "long": {"a": [16.0, 24.0], "b": [24.0, 40.0]},
        "short": {"b": [8.0, 12.0]},
    }
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
    measure_rounds({"a": FakeWorker("a", diary)}, [job], rounds=1, settle_s=0.0)
    assert diary == [("a", 2), ("a", 8)]
