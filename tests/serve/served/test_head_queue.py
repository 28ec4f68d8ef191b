"""The queue before a classifier or an answerer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import pytest

from pegasus_runtime import GenerationInterrupted, Overloaded
from pegasus_runtime.generation.watch import Cancel
from pegasus_serve.served.head_queue import HeadQueue

SOON = 5.0


class Held:
    """A call that waits until a test lets it go, or until it is withdrawn."""

    def __init__(self) -> None:
        self.began, self.goes_on = threading.Event(), threading.Event()

    def __call__(self, cancel: Cancel, timeout_s: float) -> str:
        self.began.set()
        until = time.monotonic() + SOON
        while not self.goes_on.is_set() and time.monotonic() < until:
            if cancel.is_set():
                raise GenerationInterrupted("withdrawn")
            time.sleep(0.002)
        return f"within {timeout_s:.0f} s"


def submit(queue: HeadQueue, call: Held) -> Future[str]:
    return queue.submit(call, ends_at=time.monotonic() + SOON)


def test_calls_run_one_after_another_and_more_are_refused() -> None:
    queue, first, second = HeadQueue(2), Held(), Held()
    futures = [submit(queue, first), submit(queue, second)]
    assert first.began.wait(SOON)
    assert not second.began.is_set()
    assert queue.waiting == 2
    with pytest.raises(Overloaded, match="2 texts wait, and no more may: try again"):
        submit(queue, Held())
    first.goes_on.set()
    second.goes_on.set()
    assert [each.result(SOON) for each in futures] == ["within 5 s"] * 2
    queue.close()
    assert queue.waiting == 0


def test_a_call_that_runs_is_withdrawn_and_its_neighbour_goes_on() -> None:
    queue, first, second = HeadQueue(3), Held(), Held()
    running, withdrawn, next_one = (
        submit(queue, first),
        submit(queue, Held()),
        submit(queue, second),
    )
    assert first.began.wait(SOON)
    assert running.cancel()
    assert withdrawn.cancel()
    assert second.began.wait(SOON)  # neither holds it up
    second.goes_on.set()
    assert next_one.result(SOON)
    queue.close()


def test_a_call_that_is_late_does_not_begin() -> None:
    queue, call = HeadQueue(1), Held()
    late = queue.submit(call, ends_at=time.monotonic() - 1)
    with pytest.raises(GenerationInterrupted, match="out of time before it began"):
        late.result(SOON)
    assert not call.began.is_set()
    queue.close()


@pytest.mark.parametrize("finish", [True, False])
def test_closed_it_finishes_or_withdraws_and_refuses(finish: bool) -> None:
    queue, call = HeadQueue(2), Held()
    future = submit(queue, call)
    assert call.began.wait(SOON)
    if finish:
        threading.Timer(0.05, call.goes_on.set).start()
    queue.close(finish=finish)
    if finish:
        assert future.result(0)
    else:
        with pytest.raises(GenerationInterrupted, match="withdrawn"):
            future.result(0)
    with pytest.raises(Overloaded, match="the server is shutting down: ask another one"):
        submit(queue, Held())
