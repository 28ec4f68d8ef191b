"""How long a document waits for others to run with, where the engine is free: no clock in it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

__all__ = ["Company"]


@dataclass(slots=True)
class Company:
    """Decides when a batch that is not full starts.

    Callers that were just served often come back at once: with as many as were there before, there
    is nobody left to wait for. So one caller after another never waits, and sixteen stay together.
    Times are seconds of any clock.
    """

    max_wait_s: float
    _served: deque[float] = field(default_factory=deque)
    """When documents were done, of late."""
    _free_since: float = float("-inf")
    _expected: int = 0
    """Those that waited when the engine got free, and those that it had just served."""

    def serve(self, now: float) -> None:
        """A document is done."""
        self._served.append(now)
        self._forget(now)

    def get_free(self, now: float, num_waiting: int) -> None:
        """The engine may start another batch."""
        self._forget(now)
        self._free_since = now
        self._expected = num_waiting + len(self._served)

    def start_at(self, now: float, *, since: float, num_waiting: int) -> float:
        """When a batch that is not full starts, if nobody else comes.

        since: when its first document was submitted.
        """
        all_are_back = num_waiting >= self._expected > 0
        if all_are_back and now <= self._free_since + self.max_wait_s:
            return now
        return max(since, self._free_since) + self.max_wait_s

    def _forget(self, now: float) -> None:
        while self._served and self._served[0] < now - self.max_wait_s:
            self._served.popleft()
