"""A part of a document that was summarised by itself, as the whole is over the bundle's limit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where in the document it is, and what became of it."""

    start: int
    """Its first character in the document. In rounds behind the first: of what it goes back to."""
    end: int
    """The first character behind it."""
    text: str
    """Its summary."""
    kept: str
    """What of that is in the summary of the round: all of it, but for sentences that repeat those
    of windows before."""
    score: float
    """Of its summary; see `Hypothesis.score`."""
    round: int = 1
    """1: it is of the document; 2: of the summaries of round 1, joined, which were over the limit,
    too; and so on. The summary is what the windows of the last round kept."""
