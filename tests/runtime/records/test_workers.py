"""Processes that answer: what they say when they cannot, and that none of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pegasus_runtime.errors import BundleError, EngineError, OptionsError
from pegasus_runtime.native.processors import usable_processors
from pegasus_runtime.records.window import Made
from pegasus_runtime.records.workers import Workers, threads_each
from runtime.records.fakes import Capitals

END_S = 20.0


@pytest.fixture(autouse=True)
def _children_find_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def nothing(number: int) -> None:
    pass


def is_there(pid: int) -> bool:
    """A process of that number that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pids: list[int]) -> bool:
    end = time.monotonic() + END_S
    while any(map(is_there, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(map(is_there, pids))


def test_workers_answer_and_tell_how_far_they_are() -> None:
    told: list[int] = []
    with Workers(Capitals(), 2) as workers:
        pids = [each.process.pid for each in workers.all]
        assert workers.identity == "capitals"
        for text in ("a", "b", "c"):
            found = workers.answer([text, text], told.append)
            assert found == [Made(values=(text.upper(),))] * 2
    assert told == [1] * 6
    assert wait_until_gone(pids)


def test_what_opening_raises_is_raised_here() -> None:
    with pytest.raises(OptionsError, match="num_beams is 0, expected more"):
        Workers(Capitals(refuses=True), 2)


def test_workers_that_opened_different_models_are_refused() -> None:
    with pytest.raises(BundleError, match="the bundle was replaced while it was loaded: start aga"):
        Workers(Capitals(differs=True), 2)


def test_a_worker_that_dies_is_told_and_stays_dead() -> None:
    with Workers(Capitals(), 1) as workers:
        for _ in range(2):
            with pytest.raises(
                EngineError, match=r"worker 1 ended \(signal 9, maybe as memory was short\): go on"
            ):
                workers.answer(["die"], nothing)
    with Workers(Capitals(), 1) as workers:
        os.kill(workers.all[0].process.pid, signal.SIGTERM)
        with pytest.raises(EngineError, match=r"worker 1 ended \(signal 15"):
            workers.answer(["a"], nothing)


_PARENT = """
import sys
from pegasus_runtime.records.workers import Workers
from runtime.records.fakes import Capitals
with Workers(Capitals(), 2) as workers:
    print(*(each.process.pid for each in workers.all), flush=True)
    workers.answer(["sleep"], lambda number: print("runs", flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_none_stays_when_the_parent_is_killed(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert parent.stdout.readline() == "runs\n"
    assert all(map(is_there, pids))
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()
    assert len(pids) == 2
    assert wait_until_gone(pids)


def test_a_worker_leaves_ctrl_c_to_its_parent() -> None:
    with Workers(Capitals(), 1) as workers:
        os.kill(workers.all[0].process.pid, signal.SIGINT)
        assert workers.answer(["a"], nothing) == [Made(values=("A",))]


@pytest.mark.parametrize(
    ("workers", "cores", "threads"), [(1, 8, 8), (2, 8, 4), (3, 8, 2), (9, 8, 1)]
)
def test_cores_are_shared_out(workers: int, cores: int, threads: int) -> None:
    assert threads_each(workers, cores) == threads


def test_cores_are_those_that_this_process_may_use() -> None:
    assert threads_each(1) == usable_processors()
