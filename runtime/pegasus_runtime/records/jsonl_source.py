"""Windows of lines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from pegasus_runtime.errors import InputError
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.json_line import read_text
from pegasus_runtime.records.lines import MAX_LINE_BYTES, Line, LineFile
from pegasus_runtime.records.problem import Problem
from pegasus_runtime.records.window import Place, Position, Window

__all__ = ["JsonlSource"]

_WINDOW_BYTES = 64 * 2**20
"""Of long lines, fewer are read together."""


class JsonlSource:
    """Files of JSONL, one after another. fields: names of what is read, and of what is added."""

    def __init__(
        self,
        names: Sequence[str],
        fields: Fields,
        window: int,
        *,
        window_bytes: int = _WINDOW_BYTES,
    ) -> None:
        self.files = [LineFile(name) for name in names]
        self.fields = fields
        self.window = window
        self.window_bytes = window_bytes
        self.num_read = 0
        self.is_read = False

    def check(self) -> None:
        """Whether the files can be opened, and their first records have no field that is added.

        Standard input is not looked at. Raises: InputError.
        """
        for file in self.files:
            if file.is_stream:
                continue
            lines = LineFile(file.name).lines()
            first = next((line for line in lines if line.data.strip()), None)
            found = None if first is None else self._text(first)
            if first is not None and isinstance(found, Problem) and found.code == "field_exists":
                raise InputError(f"{file.name}: line {first.number}: {found.message}")

    def windows(self) -> Iterator[Window[tuple[Line, ...]]]:
        """See `Source`. A window ends with a number of records, or of bytes, or with all files."""
        digest = hashlib.sha256()
        lines: list[Line] = []
        places: list[Place] = []
        num_bytes = num_blank = num_windows = 0

        def cut() -> Window[tuple[Line, ...]]:
            end = Position(windows=num_windows, records=self.num_read, sha256=digest.hexdigest())
            return Window(places=tuple(places), kept=tuple(lines), num_blank=num_blank, end=end)

        for file in self.files:
            for line in file.lines():
                digest.update(line.data)
                if not line.data.strip():
                    num_blank += 1
                    continue
                self.num_read += 1
                num_bytes += len(line.data)
                lines.append(line)
                places.append(Place(file=file.name, number=line.number))
                if len(lines) == self.window or num_bytes >= self.window_bytes:
                    num_windows += 1
                    yield cut()
                    lines, places, num_bytes, num_blank = [], [], 0, 0
        self.is_read = True
        if lines or num_blank:
            num_windows += 1
            yield cut()

    def texts(self, window: Window[tuple[Line, ...]]) -> list[str | Problem]:
        """See `Source`."""
        return [self._text(line) for line in window.kept]

    def _text(self, line: Line) -> str | Problem:
        if line.is_too_long:
            return Problem(
                code="line_too_long",
                message=f"longer than {MAX_LINE_BYTES >> 20} MiB: leave fields out, or shorten it",
            )
        return read_text(line.data, self.fields)

    def estimate_records(self) -> tuple[int | None, bool]:
        """By the bytes that were read of all bytes, packed or not."""
        if self.is_read:
            return self.num_read, False
        num_bytes = sum(file.read_bytes for file in self.files)
        totals = [file.total_bytes for file in self.files]
        if not num_bytes or None in totals:
            return None, True
        return round(self.num_read * sum(filter(None, totals)) / num_bytes), True
