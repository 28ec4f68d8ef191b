"""What a served model takes and gives back: a document's future, and what is asked for it."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from pegasus_runtime.errors import GenerationInterrupted

__all__ = ["HandedIn", "seconds_left"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandedIn(Generic[T]):
    """A document that waits or runs; `future.cancel()` works until it is done."""

    future: Future[T]
    source_tokens: int = 0
    """0 where they are counted later."""
    late_s: float | None = None
    """How long after its time it is given up, whatever holds it; None: as all are."""


def seconds_left(ends_at: float) -> float:
    """Until a time of `time.monotonic`. Raises: GenerationInterrupted when that is over."""
    left = ends_at - time.monotonic()
    if left <= 0:
        raise GenerationInterrupted(
            "out of time before it began: allow more with timeout_s, or send fewer documents"
        )
    return left
