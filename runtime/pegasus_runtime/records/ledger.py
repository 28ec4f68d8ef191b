"""What is written, window by window, and the state that says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pegasus_runtime.records.growing_file import GrowingFile, write_error
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.state import Counts, State, write_state
from pegasus_runtime.records.window import Answer, Made, Place, Window

__all__ = ["FailureFile", "Failures", "FailuresTold", "Ledger", "Output"]

Kept = TypeVar("Kept")


class Output(Protocol[Kept]):
    """Where records go; held for itself until it is closed."""

    def write(self, window: Window[Kept], answers: Sequence[Answer]) -> tuple[int, str]:
        """Adds the records that have something to add, on the disk when it returns.

        Returns the size of all, and a SHA-256 of its end, as `State` has them.
        Raises: ResultError.
        """

    def finish(self) -> tuple[int, str]:
        """After the last window; may be done again after a crash.

        Returns what `write` does. Raises: ResultError.
        """

    def clear(self) -> None:
        """Deletes what lies beside it, when it is finished."""

    def close(self) -> None:
        """Lets it go."""


class Failures(Protocol):
    """Where those go that have no summary."""

    def write(self, failed: Sequence[tuple[Place, Problem]]) -> int:
        """Adds some; the size of all. Raises: ResultError."""

    def close(self) -> None:
        """Lets it go."""


class FailureFile:
    """A line of JSON each; there is no file before there is one."""

    def __init__(self, path: Path, begin: State, counted: str) -> None:
        """counted: what a place has a number of, line or row."""
        self.path = path
        self.counted = counted
        self.file: GrowingFile | None = None
        if begin.failures_bytes or path.exists():
            self.file = GrowingFile(path, size=begin.failures_bytes)

    def write(self, failed: Sequence[tuple[Place, Problem]]) -> int:
        """See `Failures`."""
        if failed and self.file is None:
            self.file = GrowingFile(self.path)
        if failed and self.file is not None:
            self.file.append(b"".join(self._line(*each) for each in failed))
        return 0 if self.file is None else self.file.size

    def _line(self, place: Place, problem: Problem) -> bytes:
        record = {
            "file": place.file,
            self.counted: place.number,
            "code": problem.code,
            "message": problem.message,
        }
        text = json.dumps(record, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def close(self) -> None:
        """See `Failures`."""
        if self.file is not None:
            self.file.close()


class FailuresTold:
    """Those of a run that has no file for them. tell: takes one in words."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell

    def write(self, failed: Sequence[tuple[Place, Problem]]) -> int:
        """See `Failures`."""
        for place, problem in failed:
            self.tell(f"{place.file}: line {place.number}: {problem.message}")
        return 0

    def close(self) -> None:
        """See `Failures`: it has nothing open."""


class Ledger(Generic[Kept]):
    """Output, failures and state of one run, which go forward together.

    First output and failures are on the disk, then a state says so. path: of the state; None of a
    run that nobody can go on with.
    """

    def __init__(
        self, output: Output[Kept], failures: Failures, state: State, path: Path | None
    ) -> None:
        self.output = output
        self.failures = failures
        self.state = state
        self.path = path

    def commit(self, window: Window[Kept], answers: Sequence[Answer]) -> None:
        """Writes a window. Raises: ResultError."""
        output_bytes, output_sha256 = self.output.write(window, answers)
        failed = [
            (place, each)
            for place, each in zip(window.places, answers, strict=True)
            if isinstance(each, Problem)
        ]
        self.state = replace(
            self.state,
            position=window.end,
            output_bytes=output_bytes,
            output_sha256=output_sha256,
            failures_bytes=self.failures.write(failed),
            counts=_add(self.state.counts, window.num_blank, answers),
        )
        self._save()

    def finish(self) -> None:
        """After the last window. Raises: ResultError."""
        output_bytes, output_sha256 = self.output.finish()
        self.state = replace(
            self.state,
            output_bytes=output_bytes,
            output_sha256=output_sha256,
            is_complete=True,
        )
        self._save()
        self.output.clear()

    def _save(self) -> None:
        if self.path is None:
            return
        try:
            write_state(self.path, self.state)
        except OSError as err:
            raise write_error(self.path, err) from err

    def close(self) -> None:
        """Lets the files go."""
        self.output.close()
        self.failures.close()


def _add(counts: Counts, num_blank: int, answers: Sequence[Answer]) -> Counts:
    made = [each for each in answers if isinstance(each, Made)]
    return Counts(
        written=counts.written + len(made),
        failed=counts.failed + len(answers) - len(made),
        blank=counts.blank + num_blank,
        truncated=counts.truncated + sum("truncated" in each.remarks for each in made),
        unknown=counts.unknown + sum("unknown" in each.remarks for each in made),
        html=counts.html + sum("html" in each.remarks for each in made),
        controls=counts.controls + sum("controls" in each.remarks for each in made),
    )
