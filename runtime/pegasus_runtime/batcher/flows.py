"""Which of the documents that wait in one priority goes first: that of the flow that got least.

It is start-time fair queueing (Goyal, Vin and Cheng, 1996). Documents of the same settings and of
like cost are a flow. What they cost counts up within it. A flow that was not there is put where the
others are: it neither waits for what they were owed, nor catches up on what it did not ask for.
Where the others are counts up, too, by an equal share of what is served: so those who come with
settings that nobody had before do not pass those who wait for ever.

A flow reaches from half to twice the cost of its first document. Fixed borders would part
neighbours, and each flow that is more makes those in the fullest one wait longer.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

__all__ = ["Flows", "Place"]

_LIKE = 2.0
"""Times the cost, or part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A document in the queue."""

    number: int
    """Its own, larger than those before it."""
    settings: Hashable
    """Documents that differ in them do not run together."""
    tokens: int
    cost: float
    """Of running it, in any unit."""
    priority: int = 0


_Flow = tuple[Hashable, float]
"""Settings, and the cost of the document that it began with."""


class Flows:
    """The documents of one priority, each with where it starts, in cost."""

    def __init__(self) -> None:
        self.now = 0.0
        """How far the flows have got, when the last batch began."""
        self.share = 0.0
        """How much further that batch gets each of them."""
        self.starts: dict[_Flow, dict[int, float]] = {}
        """By number, in order."""
        self.came: dict[int, tuple[_Flow, float]] = {}
        """By number: the flow of a document, and how far the flows had got when it came."""
        self.costs: dict[int, float] = {}
        self.ends: dict[_Flow, float] = {}
        """Where a flow's last document ends: its next one starts there, if that is not past."""
        self.done: dict[_Flow, float] = {}
        """The same, of those alone that were served."""
        self.left: set[_Flow] = set()
        """Flows with documents that were not: whoever is behind these moves up."""

    def __len__(self) -> int:
        return len(self.came)

    def add(self, place: Place) -> None:
        """Puts a document at the end of its flow."""
        self._move_up()
        flow = self._find(place)
        self.came[place.number] = flow, self.now
        self.costs[place.number] = place.cost
        self._append(flow, place.number)

    def first(self) -> int:
        """The number of the next document; there has to be one."""
        self._move_up()
        return min((next(iter(each.items())) for each in self.starts.values()), key=_by_start)[0]

    def oldest(self, settings: Hashable) -> Iterator[int]:
        """Those of the same settings, in order."""
        self._move_up()
        flows = [iter(each.items()) for (of, _), each in self.starts.items() if of == settings]
        return (number for number, _ in heapq.merge(*flows, key=_by_start))

    def begin(self, head: int, cost: float) -> None:
        """A batch of so much cost begins, which this document is the first of."""
        flow, _ = self.came[head]
        self.now = max(self.now + self.share, self.starts[flow][head])
        self.share = cost / len(self.starts)
        self.ends = {flow: end for flow, end in self.ends.items() if end > self.now}
        self.done = {
            flow: end for flow, end in self.done.items() if end > self.now or flow in self.starts
        }

    def serve(self, number: int) -> None:
        """Takes out a document that runs."""
        flow, came = self.came[number]
        self.done[flow] = max(came, self.done.get(flow, 0.0)) + self.costs[number]
        self._drop(number)

    def remove(self, number: int) -> None:
        """Takes out a document that will not run."""
        self.left.add(self.came[number][0])
        self._drop(number)

    def _move_up(self) -> None:
        for flow in self.left:
            self.ends[flow] = self.done.get(flow, 0.0)
            for number in self.starts.get(flow, ()):
                self._append(flow, number)
        self.left.clear()

    def _find(self, place: Place) -> _Flow:
        """The nearest of those that it belongs to, or its own."""
        near = [
            (max(place.cost, cost) / max(min(place.cost, cost), 1.0), (settings, cost))
            for settings, cost in {*self.starts, *self.ends}
            if settings == place.settings
        ]
        ratio, flow = min(near, default=(math.inf, None), key=lambda each: each[0])
        return flow if flow is not None and ratio <= _LIKE else (place.settings, place.cost)

    def _append(self, flow: _Flow, number: int) -> None:
        start = max(self.came[number][1], self.ends.get(flow, 0.0))
        self.ends[flow] = start + self.costs[number]
        self.starts.setdefault(flow, {})[number] = start

    def _drop(self, number: int) -> None:
        flow, _ = self.came.pop(number)
        del self.costs[number], self.starts[flow][number]
        if not self.starts[flow]:
            del self.starts[flow]


def _by_start(item: tuple[int, float]) -> tuple[float, int]:
    number, start = item
    return start, number
