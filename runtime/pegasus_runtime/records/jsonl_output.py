"""Lines into a file, plain or as gzip, or to standard output."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

from pegasus_runtime.command_line.streams import write_result
from pegasus_runtime.records.fields import Fields
from pegasus_runtime.records.growing_file import GrowingFile
from pegasus_runtime.records.json_line import add_to_line
from pegasus_runtime.records.lines import Line
from pegasus_runtime.records.state import State
from pegasus_runtime.records.window import Answer, Made, Window

__all__ = ["JsonlOutput", "StdoutOutput"]

_LEVEL = 6  # of gzip: what its command takes


class JsonlOutput:
    """A file. Of gzip, each window is a member of its own, so that whole ones are cut off."""

    def __init__(
        self,
        path: Path,
        fields: Fields,
        begin: State,
        check_still: Callable[[], None] = lambda: None,
    ) -> None:
        """check_still: see `GrowingFile`. Raises: OptionsError, ResultError."""
        self.fields = fields
        self.is_gzip = path.name.endswith(".gz")
        self.file = GrowingFile(
            path,
            size=begin.output_bytes,
            sha256=begin.output_sha256,
            check_still=check_still,
        )

    def write(self, window: Window[tuple[Line, ...]], answers: Sequence[Answer]) -> tuple[int, str]:
        """See `Output`."""
        data = _lines(window, answers, self.fields)
        if self.is_gzip and data:
            data = gzip.compress(data, _LEVEL, mtime=0)
        return self.file.append(data)

    def finish(self) -> tuple[int, str]:
        """See `Output`. Of gzip without a record an empty member, as no bytes are no gzip."""
        is_none = self.is_gzip and self.file.size == 0
        return self.file.append(gzip.compress(b"", _LEVEL, mtime=0) if is_none else b"")

    def clear(self) -> None:
        """See `Output`: nothing lies beside it."""

    def close(self) -> None:
        """See `Output`."""
        self.file.close()


class StdoutOutput:
    """Lines that nobody can go on with."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields

    def write(self, window: Window[tuple[Line, ...]], answers: Sequence[Answer]) -> tuple[int, str]:
        """See `Output`; of what was written nothing is known."""
        write_result(_lines(window, answers, self.fields).decode("utf-8"))
        return 0, ""

    def finish(self) -> tuple[int, str]:
        """See `Output`: nothing is left to be done."""
        return 0, ""

    def clear(self) -> None:
        """See `Output`: nothing lies beside it."""

    def close(self) -> None:
        """See `Output`: it stays open."""


def _lines(window: Window[tuple[Line, ...]], answers: Sequence[Answer], fields: Fields) -> bytes:
    return b"".join(
        add_to_line(line.data, fields.added, answer.values)
        for line, answer in zip(window.kept, answers, strict=True)
        if isinstance(answer, Made)
    )
