"""What cases of parity came to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outcome"]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Counts over all cases."""

    cases: int = 0
    documents: int = 0
    sequences: int = 0
    tokens: int = 0
    token_mismatches: int = 0
    batch_mismatches: int = 0
    largest_score_error: float = 0.0
    """|ours - theirs| / max(1, |theirs|): a length_penalty of -2 multiplies scores by length²."""
    score_mismatches: int = 0
    """Documents whose scores rounding does not explain: see `scores`."""
