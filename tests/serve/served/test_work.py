"""Documents on their way: handed in by a thread, waited for, withdrawn."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from pegasus_runtime import GenerationInterrupted, InputError, Overloaded
from pegasus_serve.served import work
from pegasus_serve.served.handed_in import HandedIn, seconds_left
from pegasus_serve.served.work import hand_in_all, wait_for
from serve.asgi import run


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as each:
        yield each


def done(value: str) -> HandedIn[str]:
    future: Future[str] = Future()
    future.set_result(value)
    return HandedIn(future=future)


def refused(error: Exception) -> HandedIn[str]:
    raise error


def test_results_and_errors_keep_their_places(pool: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        failed: Future[str] = Future()
        failed.set_exception(ValueError("later"))
        handed = await hand_in_all(
            pool,
            [
                lambda: done("a"),
                lambda: refused(InputError("empty")),
                lambda: HandedIn(future=failed),
                lambda: refused(Overloaded("full")),
            ],
        )
        first, empty, later, full = await wait_for(handed, time.monotonic() + 1)
        assert first == "a"
        assert [str(each) for each in (empty, later, full)] == ["empty", "later", "full"]

    run(scenario)


def test_if_no_document_finds_a_place_that_is_the_error(pool: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        handed = await hand_in_all(pool, [lambda: refused(Overloaded("full"))] * 2)
        with pytest.raises(Overloaded, match="full"):
            await wait_for(handed, time.monotonic() + 1)

    run(scenario)


def test_a_defect_withdraws_what_was_handed_in(pool: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        waiting: Future[str] = Future()
        documents = [lambda: HandedIn(future=waiting), lambda: refused(ZeroDivisionError("oops"))]
        with pytest.raises(ZeroDivisionError, match="oops"):
            await hand_in_all(pool, documents)
        assert waiting.cancelled()

    run(scenario)


def test_one_who_leaves_while_texts_are_read_withdraws_them(pool: ThreadPoolExecutor) -> None:
    async def scenario() -> None:
        goes_on, began = threading.Event(), threading.Event()
        futures: list[Future[str]] = [Future(), Future()]
        handed: list[int] = []

        def hand_in(number: int) -> HandedIn[str]:
            began.set()
            goes_on.wait(5)
            handed.append(number)
            return HandedIn(future=futures[number])

        task = asyncio.ensure_future(hand_in_all(pool, [lambda: hand_in(0), lambda: hand_in(1)]))
        await asyncio.to_thread(began.wait, 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        goes_on.set()
        await asyncio.to_thread(pool.shutdown)
        assert handed == [0]  # the second was not read any more
        assert futures[0].cancelled()

    run(scenario)


def test_what_is_long_late_is_given_up(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(work, "_LATE_S", 0.05)
        stuck: Future[str] = Future()
        (outcome,) = await wait_for([HandedIn(future=stuck)], time.monotonic() - 1)
        assert isinstance(outcome, GenerationInterrupted)
        assert "out of time, and not done: allow more with timeout_s" in str(outcome)
        await asyncio.sleep(0)
        assert stuck.cancelled()

    run(scenario)


def test_no_time_left_is_an_interruption() -> None:
    assert 0 < seconds_left(time.monotonic() + 1) <= 1
    with pytest.raises(GenerationInterrupted, match="out of time before it began: allow more"):
        seconds_left(time.monotonic())
