"""What a Batcher has done so far, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["MOST_COUNTED", "Counters", "Outcome", "Tally"]

Outcome = Literal["finished", "failed", "cancelled", "expired"]
"""What became of a document: exactly one of these."""

MOST_COUNTED = 16
"""Sizes of batches that are counted apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """A Batcher at one moment: totals since it was made, unless they say "now".

    submitted = finished + failed + cancelled + expired + waiting + running.
    """

    submitted: int
    """Documents that were taken."""
    refused: int
    """Documents that were not, as the queue was full or closing."""
    finished: int
    """Summaries that were there, also where somebody cancelled at that moment."""
    failed: int
    """Documents that ended in an error of the engine, or of `on_partial`."""
    cancelled: int
    """By `Future.cancel`, or by closing."""
    expired: int
    """Documents that were not done by their deadline."""
    batches: int
    """Times that the engine began with documents."""
    batched_documents: int
    """Documents in all of these: those that a batch failed with count again when tried alone."""
    steps: int
    """Tokens that were asked of the engine, for all documents of a batch at once."""
    waiting: int
    """Now."""
    waiting_tokens: int
    """Now: their source tokens."""
    running: int
    """Now."""
    source_tokens: int
    """Of documents that finished."""
    summary_tokens: int
    """Of documents that finished: of the best summary of each."""
    waited_s: float
    """Seconds from submission to a batch, of documents that got into one."""
    ran_s: float
    """Seconds of batches."""
    batch_sizes: tuple[int, ...]
    """How many batches of 1, 2, ... documents there were; the last counts larger ones, too."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The totals, being counted."""

    outcomes: dict[Outcome, int] = field(
        default_factory=lambda: {"finished": 0, "failed": 0, "cancelled": 0, "expired": 0}
    )
    submitted: int = 0
    refused: int = 0
    batches: int = 0
    batched_documents: int = 0
    steps: int = 0
    source_tokens: int = 0
    summary_tokens: int = 0
    waited_s: float = 0.0
    ran_s: float = 0.0
    batch_sizes: list[int] = field(default_factory=lambda: [0] * MOST_COUNTED)

    def count_batch(self, num_documents: int) -> None:
        """One that begins."""
        self.batches += 1
        self.batched_documents += num_documents
        self.batch_sizes[min(num_documents, MOST_COUNTED) - 1] += 1

    def snapshot(self, *, waiting: int, waiting_tokens: int, running: int) -> Counters:
        """The totals of now."""
        return Counters(
            submitted=self.submitted,
            refused=self.refused,
            **self.outcomes,
            batches=self.batches,
            batched_documents=self.batched_documents,
            steps=self.steps,
            waiting=waiting,
            waiting_tokens=waiting_tokens,
            running=running,
            source_tokens=self.source_tokens,
            summary_tokens=self.summary_tokens,
            waited_s=self.waited_s,
            ran_s=self.ran_s,
            batch_sizes=tuple(self.batch_sizes),
        )
