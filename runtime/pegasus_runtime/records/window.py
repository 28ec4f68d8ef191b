"""So many records that are read, run and written together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.records.problem import Problem

__all__ = [
    "WINDOW_RECORDS",
    "Answer",
    "Made",
    "Place",
    "Position",
    "Remark",
    "Source",
    "Window",
    "take_from",
]

WINDOW_RECORDS = 256
"""Sixteen batches, so that a batch spans a sixteenth of all lengths."""

Kept = TypeVar("Kept")
Kept_co = TypeVar("Kept_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record stands: its file, and its line or row, from 1 up."""

    file: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What was read up to the end of a window, all files together."""

    windows: int = 0
    records: int = 0
    sha256: str = ""
    """Of all that was read, so that whoever goes on can tell whether it is still the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window(Generic[Kept]):
    """Records that run together, before they are looked into."""

    places: tuple[Place, ...]
    kept: Kept
    """What the output keeps of them."""
    num_blank: int
    """Lines without anything, which are no records."""
    end: Position


Remark = Literal["truncated", "unknown", "html", "controls"]
"""What a document was not made for: it was cut; the tokenizer hardly knows its characters; it has
HTML; it has characters that nobody sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is added to a record."""

    values: tuple[object, ...]
    remarks: frozenset[Remark] = frozenset()


Answer = Made | Problem


class Source(Protocol[Kept]):
    """Where records come from."""

    def check(self) -> None:
        """Whether all can be read, as far as that can be told at once. Raises: InputError."""

    def windows(self) -> Iterator[Window[Kept]]:
        """The same ones whenever the same is read. Raises: InputError."""

    def texts(self, window: Window[Kept]) -> list[str | Problem]:
        """One for each of a window's records."""

    def estimate_records(self) -> tuple[int | None, bool]:
        """How many there are in all, None where nobody knows; and whether that is a guess."""


def take_from(
    source: Source[Kept], begin: Position, what_is_read: str = "the input"
) -> Iterator[Window[Kept]]:
    """The windows behind a position, up to which all is read again, and compared.

    Raises: OptionsError where it is not the same any more; InputError.
    """
    is_same = begin.windows == 0
    for window in source.windows():
        if window.end.windows < begin.windows:
            continue
        if window.end.windows > begin.windows:
            if not is_same:
                break
            yield window
        elif window.end != begin:
            break
        else:
            is_same = True
    if not is_same:
        raise OptionsError(
            f"{what_is_read} is not what it was: the first {begin.records} records differ from "
            "those of the run that was interrupted: give the same files, or begin anew with --force"
        )
