"""A line on a terminal that says how far the work is, and how long the rest of it will take."""

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

__all__ = ["ProgressLine", "describe_progress"]

_STEP_S = 0.25  # between steps that are shown: who reads a line wants it to stand
_COLUMNS = 80  # where a terminal does not say how wide it is


class ProgressLine:
    """One line on standard error, written over and over; none where that is no terminal."""

    def __init__(self, total: int, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """total: documents; of a single one, steps alone are shown. clock: seconds, from now on."""
        self.total = total
        self.clock = clock
        self.start = self.last_step = clock()
        self.is_shown = sys.stderr is not None and sys.stderr.isatty()
        self.is_written = False
        self.counts = ""

    def show(self, done: int) -> None:
        """Writes how many are done, at what rate, and the time that is left."""
        if self.total > 1:
            self.counts = describe_progress(done, self.total, self.clock() - self.start)
            self._write(self.counts)

    def step(self, num_tokens: int, max_length: int) -> None:
        """Writes how far those are that run, now and then."""
        if self.is_shown and (now := self.clock()) - self.last_step >= _STEP_S:
            self.last_step = now
            step = f"token {num_tokens} of at most {max_length}"
            self._write(f"{self.counts}; {step}" if self.counts else step)

    def show_text(self, text: str) -> None:
        """Writes what somebody else has put in words, now and then."""
        if self.is_shown and (now := self.clock()) - self.last_step >= _STEP_S:
            self.last_step = now
            self._write(text)

    def elapsed_s(self) -> float:
        """Since it began."""
        return self.clock() - self.start

    def clear(self) -> None:
        """Leaves the line to others."""
        if self.is_written:
            self._write("")
        self.is_written = False

    def _write(self, text: str) -> None:
        if self.is_shown:
            text = text[: _columns() - 1]
            sys.stderr.write(f"\r{text}\x1b[K")  # \x1b[K: what was there before goes
            sys.stderr.flush()
            self.is_written = True


def _columns() -> int:
    """Of the terminal: what does not fit in a line would fill the screen, time after time."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


def describe_progress(
    done: int, total: int | None, elapsed_s: float, *, before: int = 0, is_estimate: bool = False
) -> str:
    """In words, with the time that is left as h:mm:ss.

    total: None where nobody knows. is_estimate: that it is a guess. before: of
    those that are done, what was done before, in no time.

    >>> describe_progress(3, 9, 30.0)
    '3 of 9 documents, 10.0 s each, 0:01:00 left'
    """
    about = "about " if is_estimate else ""
    counts = f"{done} documents" if total is None else f"{done} of {about}{total} documents"
    if done == before or elapsed_s <= 0:
        return counts
    each_s = elapsed_s / (done - before)
    rate = f"{each_s:.1f} s each" if each_s > 1 else f"{1 / each_s:.1f} a second"
    if total is None:
        return f"{counts}, {rate}"
    return f"{counts}, {rate}, {timedelta(seconds=round(each_s * (total - done)))} left"
