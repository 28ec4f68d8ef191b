"""What a long export shows while it runs: a bar per stage on a terminal, a line otherwise."""

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
def _bar(
    name: str, total_bytes: int | None = None, *, total_steps: int | None = None
) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = [TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn()]
    if total_bytes is not None:
        columns.append(DownloadColumn())
    with RichProgress(*columns, console=Console(stderr=True)) as bars:
        total = total_steps if total_bytes is None else total_bytes
        task = bars.add_task(name, total=total)
        yield lambda count: bars.advance(task, count)
        bars.update(task, total=total or 1, completed=total or 1)


def choose_progress(*, quiet: bool) -> Progress:
    """Bars if standard error is a terminal, lines if it is not, nothing if quiet."""
    if quiet:
        return silent
    return _bar if sys.stderr.isatty() else _line
