"""Windows from a source, through a model, into a ledger: in order, whoever answers them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.job import Answering, OnDone
from pegasus_runtime.records.ledger import Ledger
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.window import Answer, Source, Window, take_from

__all__ = ["run_records"]

_AHEAD = 2  # windows of each worker: that which runs, and the next

Kept = TypeVar("Kept")


def run_records(
    source: Source[Kept],
    answering: Answering,
    ledger: Ledger[Kept],
    *,
    workers: int = 1,
    on_done: Callable[[int], None] = lambda number: None,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Writes all that the ledger has not yet; nothing where it is complete.

    workers: how many windows the model answers at a time. on_done: told how many more records are
    finished, by one thread at a time. on_end: called when no more is asked of the model, and
    what it may be at is of no use any more.
    Raises: what the source, the model and the ledger raise; what is committed by then stays.
    """
    windows = take_from(source, ledger.state.position)
    if ledger.state.is_complete:
        _check_nothing_is_left(windows)
        ledger.output.clear()
        return
    lock = threading.Lock()

    def tell(number: int) -> None:
        with lock:
            on_done(number)

    def answer(window: Window[Kept]) -> tuple[Window[Kept], list[Answer]]:
        return window, _answer_window(source, answering, window, tell)

    answered = (
        map(answer, windows) if workers == 1 else _in_threads(answer, windows, workers, on_end)
    )
    for window, answers in answered:
        ledger.commit(window, answers)
    ledger.finish()


def _check_nothing_is_left(windows: Iterator[Window[Kept]]) -> None:
    if next(windows, None) is not None:
        raise OptionsError(
            "the output is complete, and its input has more records by now: give what is new in a "
            "file of its own, or begin anew with --force"
        )


def _answer_window(
    source: Source[Kept], answering: Answering, window: Window[Kept], on_done: OnDone
) -> list[Answer]:
    found = source.texts(window)
    texts = [each for each in found if not isinstance(each, Problem)]
    on_done(len(found) - len(texts))
    made = iter(answering.answer(texts, on_done) if texts else [])
    return [each if isinstance(each, Problem) else next(made) for each in found]


def _in_threads(
    answer: Callable[[Window[Kept]], tuple[Window[Kept], list[Answer]]],
    windows: Iterator[Window[Kept]],
    workers: int,
    on_end: Callable[[], None],
) -> Iterator[tuple[Window[Kept], list[Answer]]]:
    """As map does, some ahead."""
    ahead: deque[Future[tuple[Window[Kept], list[Answer]]]] = deque()
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        stack.callback(on_end)
        for window in windows:
            ahead.append(pool.submit(answer, window))
            if len(ahead) >= workers * _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
