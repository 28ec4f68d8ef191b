"""What long work shows while it runs: how far it is on a terminal, a line at its end otherwise.

Needs no other library: devices build plans with it.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Protocol

__all__ = ["Advance", "Progress", "choose_progress", "silent"]

Advance = Callable[[int], object]
"""Called with the number of bytes, or steps, done since the last call."""


class Progress(Protocol):
    """Something that can show a stage."""

    def __call__(
        self, name: str, total_bytes: int | None = None, *, total_steps: int | None = None
    ) -> contextlib.AbstractContextManager[Advance]:
        """Shows the stage while the context lasts."""


@contextlib.contextmanager
def silent(
    name: str, total_bytes: int | None = None, *, total_steps: int | None = None
) -> Iterator[Advance]:
    """Shows nothing."""
    yield lambda count: None


@contextlib.contextmanager
def _line(
    name: str, total_bytes: int | None = None, *, total_steps: int | None = None
) -> Iterator[Advance]:
    start = time.perf_counter()
    yield lambda count: None
    print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _line_with_share(
    name: str, total_bytes: int | None = None, *, total_steps: int | None = None
) -> Iterator[Advance]:
    """A line that is written over and over, and leaves its place to the one at the end."""
    total, done = total_bytes or total_steps, 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        _overwrite(f"{name}: {100 * done // total} %" if total else f"{name} ...")

    with _line(name):
        advance(0)
        try:
            yield advance
        finally:
            _overwrite("")


def _overwrite(text: str) -> None:
    sys.stderr.write(f"\r{text}\x1b[K")  # \x1b[K: what was there before goes
    sys.stderr.flush()


def choose_progress(*, quiet: bool) -> Progress:
    """How far it is if standard error is a terminal, lines if it is not, nothing if quiet."""
    if quiet:
        return silent
    return _line_with_share if sys.stderr.isatty() else _line
