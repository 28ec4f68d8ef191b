"""Documents through a model: handed in by a thread, waited for, withdrawn when nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from pegasus_runtime.errors import GenerationInterrupted, Overloaded, PegasusError
from pegasus_serve.served.handed_in import HandedIn

__all__ = ["HandIn", "hand_in", "hand_in_all", "wait_for"]

T = TypeVar("T")
HandIn = Callable[[], HandedIn[T]]
"""Hands one document in, which may take a while: its text becomes tokens."""

_LATE_S = 5.0
"""A document that is still not done so long after its time is given up, whatever holds it."""


async def hand_in_all(
    pool: ThreadPoolExecutor, documents: Sequence[HandIn[T]]
) -> list[HandedIn[T] | PegasusError]:
    """Hands documents in, in a thread of the pool; an error takes the place of one refused.

    Cancelled, it withdraws those that were handed in. Raises: what is no PegasusError.
    """
    stop = threading.Event()
    running = pool.submit(_hand_in_each, documents, stop)
    try:
        return await asyncio.wrap_future(running)
    except asyncio.CancelledError:
        stop.set()
        running.add_done_callback(_withdraw_all)
        raise


async def hand_in(pool: ThreadPoolExecutor, document: HandIn[T]) -> HandedIn[T]:
    """One document. Raises: PegasusError."""
    (handed,) = await hand_in_all(pool, [document])
    if isinstance(handed, PegasusError):
        raise handed
    return handed


async def wait_for(
    handed: Sequence[HandedIn[T] | PegasusError], ends_at: float
) -> list[T | BaseException]:
    """Results, or errors, in their order. Raises: Overloaded, if no document found a place."""
    refused = [each for each in handed if isinstance(each, Overloaded)]
    if len(refused) == len(handed):
        raise refused[0]
    futures = {
        number: asyncio.wrap_future(each.future)
        for number, each in enumerate(handed)
        if not isinstance(each, PegasusError)
    }
    try:
        if futures:
            taken = [each for each in handed if not isinstance(each, PegasusError)]
            late_s = max(_LATE_S if each.late_s is None else each.late_s for each in taken)
            until = max(0.0, ends_at - time.monotonic()) + late_s
            await asyncio.wait(futures.values(), timeout=until)
    finally:
        for future in futures.values():
            future.cancel()  # which does nothing to one that is done
    outcomes: list[T | BaseException] = []
    for number, each in enumerate(handed):
        if isinstance(each, PegasusError):
            outcomes.append(each)
        else:
            outcomes.append(_outcome(futures[number]))
    return outcomes


def _outcome(future: asyncio.Future[Any]) -> Any:
    """Its result, or its error."""
    if not future.done() or future.cancelled():
        return GenerationInterrupted("out of time, and not done: allow more with timeout_s")
    error = future.exception()
    return error if error is not None else future.result()


def _hand_in_each(
    documents: Sequence[HandIn[T]], stop: threading.Event
) -> list[HandedIn[T] | PegasusError]:
    handed: list[HandedIn[T] | PegasusError] = []
    try:
        for document in documents:
            if stop.is_set():
                break
            try:
                handed.append(document())
            except PegasusError as err:
                handed.append(err)
    except BaseException:
        _withdraw(handed)
        raise
    return handed


def _withdraw(handed: Sequence[HandedIn[T] | PegasusError]) -> None:
    for each in handed:
        if not isinstance(each, PegasusError):
            each.future.cancel()


def _withdraw_all(running: Future[list[HandedIn[T] | PegasusError]]) -> None:
    if not running.cancelled() and running.exception() is None:
        _withdraw(running.result())
