"""Who is next, of the documents that wait: no threads, no clock.

The highest priority goes first. Within one it is start-time fair queueing (Goyal, Vin and Cheng,
1996): documents of the same settings and of like length, to a power of two, are a flow. What they
cost counts up within the flow, and the flow that got least goes on. One that was not there is put
where the others are: it neither waits for what they were owed, nor catches up on what it did not
ask for. So a flood of one kind delays another kind by the batch that runs, however long its queue.
Where the others are counts up, too, by an equal share of what is served: so those who come with
settings that nobody had before do not pass those who wait for ever.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pegasus_runtime.generation.batching import Plan
from pegasus_runtime.generation.stream import choose_batch

__all__ = ["Batch", "FairQueue", "Place"]

_LOOKED_AT = 64  # the oldest of those that may run together: four batches, as in a window
_SHORT = 512  # tokens: documents up to here may always run together; the encoder runs them so


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Documents that run together."""

    numbers: Sequence[int]
    """Longest first."""
    is_full: bool
    """Whether no other one, as long as the longest, would fit."""


_Flow = tuple[Hashable, int]
"""Settings, and the power of two that the tokens are below."""


@dataclass(slots=True)
class _Level:
    """What waits in one priority."""

    now: float = 0.0
    """How far the flows have got, when the last batch began."""
    served: float = 0.0
    """How much further that batch gets each of them."""
    flows: dict[_Flow, dict[int, float]] = field(default_factory=dict)
    """By number, in order, where each document starts, in cost."""
    ends: dict[_Flow, float] = field(default_factory=dict)
    """Where a flow's last document ends: its next one starts there, if that is not past."""


class FairQueue:
    """The documents that wait."""

    def __init__(self) -> None:
        self.tokens = 0
        self.cost = 0.0
        self._places: dict[int, Place] = {}
        self._levels: dict[int, _Level] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: Place) -> None:
        """Appends a document to its flow."""
        level = self._levels.setdefault(place.priority, _Level())
        flow = _flow(place)
        start = max(level.now, level.ends.get(flow, 0.0))
        level.ends[flow] = start + place.cost
        level.flows.setdefault(flow, {})[place.number] = start
        self._places[place.number] = place
        self.tokens += place.tokens
        self.cost += place.cost

    def remove(self, number: int) -> None:
        """Takes a document out, if it is there."""
        place = self._places.pop(number, None)
        if place is None:
            return
        level, flow = self._levels[place.priority], _flow(place)
        del level.flows[flow][number]
        if not level.flows[flow]:
            del level.flows[flow]
        if not level.flows:
            del self._levels[place.priority]
        self.tokens -= place.tokens
        self.cost -= place.cost

    def first(self) -> int:
        """The number of the next document; there has to be one."""
        level = self._levels[max(self._levels)]
        return min((next(iter(flow.items())) for flow in level.flows.values()), key=_by_start)[0]

    def choose(self, plan: Callable[[Hashable], Plan]) -> Batch:
        """The next document, and whom it runs with: its neighbours in length.

        plan: from settings to what divides documents into batches. Those of lower priority fill up
        what is left.
        """
        head = self._places[self.first()]
        alike = plan(head.settings)
        numbers = self._company(head, head.priority)
        lengths = {number: self._places[number].tokens for number in numbers}
        batch = list(choose_batch(lengths, head.number, alike))
        for priority in sorted(self._levels, reverse=True):
            for number in self._company(head, priority) if priority < head.priority else ():
                if not self._fits(alike, batch, self._places[number].tokens):
                    break
                batch.append(number)
        batch.sort(key=lambda number: -self._places[number].tokens)
        longest = self._places[batch[0]].tokens
        return Batch(numbers=batch, is_full=not self._fits(alike, batch, longest))

    def take(self, batch: Batch) -> list[Place]:
        """Takes out what `choose` found, and counts it."""
        head = self._places[self.first()]
        level = self._levels[head.priority]
        places = [self._places[number] for number in batch.numbers]
        level.now = max(level.now + level.served, level.flows[_flow(head)][head.number])
        level.served = sum(place.cost for place in places) / len(level.flows)
        level.ends = {flow: end for flow, end in level.ends.items() if end > level.now}
        for place in places:
            self.remove(place.number)
        return places

    def _company(self, head: Place, priority: int) -> list[int]:
        """The oldest of a priority that may run with the head, itself among them."""
        near = [
            iter(flow.items())
            for (settings, _), flow in self._levels[priority].flows.items()
            if settings == head.settings
        ]
        oldest: Iterator[tuple[int, float]] = heapq.merge(*near, key=_by_start)
        numbers = (number for number, _ in oldest if self._may_join(number, head))
        return list(islice(numbers, _LOOKED_AT))

    def _may_join(self, number: int, head: Place) -> bool:
        """Whether neither costs the other much: padding, and waiting for its encoder."""
        shorter, longer = sorted((self._places[number].tokens, head.tokens))
        return longer <= max(_SHORT, 2 * shorter)

    def _fits(self, plan: Plan, batch: Sequence[int], tokens: int) -> bool:
        """Whether another document of so many tokens may join."""
        lengths = {number: self._places[number].tokens for number in batch}
        return len(plan({**lengths, -1: tokens})) == 1


def _flow(place: Place) -> _Flow:
    return place.settings, place.tokens.bit_length()


def _by_start(item: tuple[int, float]) -> tuple[float, int]:
    number, start = item
    return start, number
