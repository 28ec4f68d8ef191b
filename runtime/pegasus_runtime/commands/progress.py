"""A line on a terminal that says how many documents are done, and how long the others will take."""

import sys
import time
from collections.abc import Callable
from datetime import timedelta

__all__ = ["ProgressLine", "describe_progress"]


class ProgressLine:
    """One line on standard error, written over and over; none where that is no terminal."""

    def __init__(self, total: int, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """total: documents; a single one gets no line. clock: seconds, from now on."""
        self.total = total
        self.clock = clock
        self.start = clock()
        self.is_shown = total > 1 and sys.stderr is not None and sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Writes how many are done, at what rate, and the time that is left."""
        self._write(describe_progress(done, self.total, self.clock() - self.start))

    def clear(self) -> None:
        """Leaves the line to others."""
        self._write("")

    def _write(self, text: str) -> None:
        if self.is_shown:
            sys.stderr.write(f"\r{text}\x1b[K")  # \x1b[K: what was there before goes
            sys.stderr.flush()


def describe_progress(done: int, total: int, elapsed_s: float) -> str:
    """In words, with the time that is left as h:mm:ss.

    >>> describe_progress(3, 9, 30.0)
    '3 of 9 documents, 10.0 s each, 0:01:00 left'
    """
    counts = f"{done} of {total} documents"
    if done == 0 or elapsed_s <= 0:
        return counts
    each_s = elapsed_s / done
    rate = f"{each_s:.1f} s each" if each_s > 1 else f"{1 / each_s:.1f} a second"
    return f"{counts}, {rate}, {timedelta(seconds=round(each_s * (total - done)))} left"
