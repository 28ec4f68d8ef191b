"""One document of one caller, from its submission to its summary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pegasus_runtime.batcher.counters import Outcome
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

if TYPE_CHECKING:
    from concurrent.futures import Future

# concurrent.futures is imported where it is used: it imports logging, which takes a while.

__all__ = ["OnPartial", "Request"]

OnPartial = Callable[[Partial], None]
"""Told what is certain of a summary, whenever that is more; in another thread."""


def _new_future() -> Future[Summary]:
    from concurrent.futures import Future

    return Future()


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """What was submitted, and what became of it."""

    encoding: Encoding
    settings: SearchSettings
    priority: int
    deadline_s: float | None
    """Seconds from submission on, as they were asked for."""
    on_partial: OnPartial | None
    future: Future[Summary] = field(default_factory=_new_future)
    number: int = -1
    """In the order of submission, once it is taken."""
    since: float = 0.0
    """When it was submitted, by the monotonic clock."""
    counts_from: float | None = None
    """When the deadline's seconds began, where that was before: of a window, with its document."""
    is_running: bool = False
    outcome: Outcome | None = None
    """None until it is decided, once: whoever decides tells the future."""

    @property
    def ends_at(self) -> float | None:
        """When it is too late, by the monotonic clock."""
        if self.deadline_s is None:
            return None
        return (self.since if self.counts_from is None else self.counts_from) + self.deadline_s
