"""What a long export shows while it runs: a bar per stage on a terminal, a line otherwise."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator

from pegasus_engines import progress
from pegasus_engines.progress import Advance, Progress, silent

__all__ = ["Advance", "Progress", "choose_progress", "silent"]


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
    """Bars if standard error is a terminal, lines if it is not, nothing if quiet.

    `--build` runs where there may be no rich: then that which `pegasus-build` has.
    """
    if quiet or not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        return progress.choose_progress(quiet=quiet)
    return _bar
