"""The beginning of a result that is still being written."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Partial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What is certain of a result: what comes later begins with it, and nothing is taken back."""

    text: str
    """All of it so far, without a space at its end or a part of a character. It may stay as it was
    while tokens come."""
    token_ids: tuple[int, ...]
    """All of them so far, without start token; a summary's prefix is among them."""
