"""How fast documents are worked off, of late."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rate"]

_WEIGHT = 0.2  # of the last batch
_UNKNOWN_S = 1.0
_LEAST_S, _MOST_S = 0.05, 60.0


@dataclass(slots=True)
class Rate:
    """Seconds per cost, over some batches."""

    workers: int
    _seconds_per_cost: float | None = None

    def see(self, cost: float, seconds: float) -> None:
        """A batch of so much cost took so long."""
        measured = seconds / max(cost, 1.0)
        if self._seconds_per_cost is None:
            self._seconds_per_cost = measured
        else:
            self._seconds_per_cost += _WEIGHT * (measured - self._seconds_per_cost)

    def seconds(self, cost: float) -> float:
        """When so much more will be worked off, from a twentieth of a second to a minute; a second
        where nothing has run yet."""
        if self._seconds_per_cost is None:
            return _UNKNOWN_S
        return min(max(_LEAST_S, cost * self._seconds_per_cost / self.workers), _MOST_S)
