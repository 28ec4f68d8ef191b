"""Lines of a file, of gzip, or of standard input; none of them takes more memory than it may."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from pegasus_runtime.errors import InputError

__all__ = ["MAX_LINE_BYTES", "STDIN", "Line", "LineFile"]

STDIN = "-"
MAX_LINE_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**16
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, from 1 up in its file. data: without a byte order mark; its first bytes alone where
    it is longer than it may be."""

    number: int
    data: bytes
    is_too_long: bool


class LineFile:
    """A file of lines, read once, from its beginning. name: a path; `-` is standard input."""

    def __init__(self, name: str, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self.name = name
        self.max_line_bytes = max_line_bytes
        self.is_stream = name == STDIN or _is_stream(name)
        """Whether it can be read once, and not again."""
        self.total_bytes = _size_of(name)
        """Of the file as it lies there; None where nobody knows."""
        self.read_bytes = 0
        """Of those, so many were read."""

    def lines(self) -> Iterator[Line]:
        """Raises: InputError for what cannot be read, or is no gzip to its end."""
        shown = "standard input" if self.name == STDIN else self.name
        try:
            with _open(self.name) as raw:
                if self.name.endswith(".gz"):
                    with gzip.open(raw) as text:
                        yield from self._split(cast(BinaryIO, text), raw)
                else:
                    yield from self._split(raw, raw)
        except (EOFError, zlib.error, gzip.BadGzipFile) as err:
            raise InputError(
                f"{shown}: not gzip, or not all of it: {err}: copy the file again"
            ) from err
        except OSError as err:
            raise InputError(
                f"{shown}: cannot be read: {err.strerror or err}: check the path"
            ) from err

    def _split(self, text: BinaryIO, raw: BinaryIO) -> Iterator[Line]:
        number = 0
        while data := text.readline(self.max_line_bytes + 1):
            number += 1
            is_too_long = len(data) > self.max_line_bytes and not data.endswith(b"\n")
            if is_too_long:
                _skip_line(text)
            if number == 1:
                data = data.removeprefix(_BOM)
            if self.total_bytes is not None:
                self.read_bytes = raw.tell()
            yield Line(number=number, data=data[: self.max_line_bytes], is_too_long=is_too_long)


def _skip_line(text: BinaryIO) -> None:
    while (chunk := text.readline(_CHUNK_BYTES)) and not chunk.endswith(b"\n"):
        pass


@contextmanager
def _open(name: str) -> Iterator[BinaryIO]:
    if name != STDIN:
        with open(name, "rb") as file:
            yield file
    elif sys.stdin is None:
        raise InputError("standard input is closed: name a FILE, or give it lines")
    else:
        yield cast(BinaryIO, sys.stdin.buffer)


def _is_stream(name: str) -> bool:
    return os.path.exists(name) and not (os.path.isfile(name) or os.path.isdir(name))


def _size_of(name: str) -> int | None:
    """None of standard input, and of a pipe."""
    try:
        return os.stat(name).st_size if name != STDIN and os.path.isfile(name) else None
    except OSError:
        return None
