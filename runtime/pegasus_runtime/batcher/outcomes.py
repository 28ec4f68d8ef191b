"""The end of a request, decided once: by a summary, an error, its caller, or its deadline."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pegasus_runtime.batcher.request import Request
from pegasus_runtime.errors import GenerationInterrupted
from pegasus_runtime.tasks.summary import Summary

__all__ = ["calling_out", "expired", "is_called_out", "tell_error", "tell_summary"]

_calls = threading.local()


@contextmanager
def calling_out() -> Iterator[None]:
    """While it lasts, this thread runs what callers gave: it must not wait for itself."""
    depth = getattr(_calls, "depth", 0)
    _calls.depth = depth + 1
    try:
        yield
    finally:
        _calls.depth = depth


def is_called_out() -> bool:
    """Whether a Batcher's thread is within a caller's function now."""
    return bool(getattr(_calls, "depth", 0))


def tell_summary(request: Request, summary: Summary) -> None:
    """Sets the result of a future, and calls its callbacks."""
    _tell(lambda: request.future.set_result(summary))


def tell_error(request: Request, error: BaseException) -> None:
    """Sets the exception of a future, and calls its callbacks."""
    _tell(lambda: request.future.set_exception(error))


def _tell(set_outcome: Callable[[], None]) -> None:
    from concurrent.futures import InvalidStateError

    with calling_out():
        try:
            set_outcome()
        except InvalidStateError:
            return  # it was cancelled at this moment
        except BaseException:  # such as SystemExit, which `Future` lets out of a callback
            threading.excepthook(_hook_arguments())


def _hook_arguments() -> threading.ExceptHookArgs:
    return threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))


def expired(request: Request) -> GenerationInterrupted:
    """The error of a request that is too late."""
    return GenerationInterrupted(
        f"the summary was not there within {request.deadline_s:g} s, waiting included: allow more "
        "time, submit fewer documents at once, or ask for fewer beams or a smaller max_length"
    )
