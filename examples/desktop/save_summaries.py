"""Summaries as text files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from desktop.shelf import Entry

__all__ = ["SaveError", "save_text", "text_of"]


class SaveError(Exception):
    """A file could not be written; the message is for a person."""


def text_of(entries: Sequence[Entry]) -> str:
    """All summaries in one text, each below its document's name."""
    return "\n".join(f"{entry.name}\n{entry.written}\n" for entry in entries)


def save_text(path: Path, text: str) -> None:
    """UTF-8; the whole text, or what was there before. Raises: SaveError."""
    part = path.with_name(f".{path.name[:50]}.part")  # no longer than a name may be
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as err:
        with contextlib.suppress(OSError):
            part.unlink()
        raise SaveError(f"{path.name} cannot be saved: {err.strerror or err}") from err
