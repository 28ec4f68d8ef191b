"""A bounded queue before a model that takes one text at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TypeVar

from pegasus_runtime.errors import Overloaded
from pegasus_runtime.generation.watch import Cancel
from pegasus_serve.served.handed_in import seconds_left

__all__ = ["HeadQueue"]

T = TypeVar("T")

_RETRY_AFTER_S = 1.0


class _Withdrawn:
    """Set when a future is cancelled, or when the queue ends."""

    def __init__(self, future: Future[T], ends: threading.Event) -> None:
        self._future, self._ends = future, ends

    def is_set(self) -> bool:
        return self._future.cancelled() or self._ends.is_set()


class HeadQueue:
    """Calls in the order of their coming, in one thread: the engine has threads of its own."""

    def __init__(self, max_queue: int) -> None:
        self._most = max_queue
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pegasus-head")
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Calls that have not ended."""
        return self._waiting

    def submit(self, call: Callable[[Cancel, float], T], *, ends_at: float) -> Future[T]:
        """call: gets what cancels it, and the seconds that it has. ends_at: by `time.monotonic`.

        The future can be cancelled until it is done. Raises: Overloaded.
        """
        with self._lock:
            if self._ends.is_set():
                raise _refuse("the server is shutting down: ask another one, or try again")
            if self._waiting >= self._most:
                raise _refuse(f"{self._waiting} texts wait, and no more may: try again")
            self._waiting += 1
        future: Future[T] = Future()
        try:
            self._pool.submit(self._run, future, call, ends_at)
        except RuntimeError as err:  # it was closed meanwhile
            with self._lock:
                self._waiting -= 1
            raise _refuse("the server is shutting down: ask another one, or try again") from err
        return future

    def close(self, *, finish: bool = True) -> None:
        """Takes nothing more; finish: runs what waits, which is withdrawn otherwise."""
        if not finish:
            self._ends.set()
        self._pool.shutdown(wait=True)
        self._ends.set()

    def _run(self, future: Future[T], call: Callable[[Cancel, float], T], ends_at: float) -> None:
        try:
            if not future.cancelled():
                result = call(_Withdrawn(future, self._ends), seconds_left(ends_at))
                _settle(future, result, None)
        except BaseException as err:
            _settle(future, None, err)
        finally:
            with self._lock:
                self._waiting -= 1


def _settle(future: Future[T], result: T | None, error: BaseException | None) -> None:
    try:
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # None only beside an error
        else:
            future.set_exception(error)
    except InvalidStateError:  # it was cancelled meanwhile
        return


def _refuse(message: str) -> Overloaded:
    error = Overloaded(message)
    error.retry_after_s = _RETRY_AFTER_S
    return error
