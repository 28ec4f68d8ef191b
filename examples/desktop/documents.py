"""Text files and pasted text, as documents to summarise."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MAX_BYTES", "Document", "DocumentError", "find_files", "read_document"]

MAX_BYTES = 2 << 20
"""Of a file: some thousand pages, where the longest model reads forty."""

_MARKED = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
"""How files that say so themselves begin: Windows' Notepad writes these."""


class DocumentError(Exception):
    """A file cannot be read as text; the message is for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What is summarised: a name to show, and the text."""

    name: str
    text: str


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Files as they are, folders as the *.txt in them, by name; each once."""
    found: dict[Path, None] = {}
    for path in paths:
        inside = sorted(path.glob("*.txt")) if os.path.isdir(path) else [path]
        found.update(dict.fromkeys(inside))
    return list(found)


def read_document(path: Path) -> Document:
    """The text of a file in UTF-8, or in UTF-16 that says so. Raises: DocumentError."""
    name = path.name.encode(errors="replace").decode()  # of any bytes, under Linux
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise DocumentError(f"{name} is no file")
        if status.st_size > MAX_BYTES:
            raise DocumentError(f"{name} is over {MAX_BYTES >> 20} MB: too long for a text")
        content = path.read_bytes()
    except (OSError, ValueError) as err:  # ValueError: a dropped address with %00 in it
        why = getattr(err, "strerror", None) or err
        raise DocumentError(f"{name} cannot be read: {why}") from err
    encoding = next((name for mark, name in _MARKED if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as err:
        raise DocumentError(f"{name} is not text in UTF-8: save it as such") from err
    if "\0" in text:
        raise DocumentError(f"{name} is no text file")
    if not text.strip():
        raise DocumentError(f"{name} is empty")
    return Document(name=name, text=text.replace("\r\n", "\n"))
