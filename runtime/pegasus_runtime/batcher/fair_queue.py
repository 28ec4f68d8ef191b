"""Who is next, of the documents that wait: no threads, no clock.

The highest priority goes first. Within one the flow that got least goes on: documents of the same
settings and of like cost are one. So a flood of one kind delays another kind by the batch that
runs, however long its queue.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

from pegasus_runtime.batcher.flows import Flows, Place
from pegasus_runtime.generation.batching import Plan
from pegasus_runtime.generation.stream import choose_batch

__all__ = ["Batch", "FairQueue", "Place"]

_LOOKED_AT = 64  # the oldest of those that may run together: four batches, as in a window
_SHORT = 512  # tokens: documents up to here may always run together; the encoder runs them so


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Documents that run together."""

    numbers: Sequence[int]
    """Longest first."""
    is_full: bool
    """Whether no other one, as long as the longest, would fit."""


class FairQueue:
    """The documents that wait."""

    def __init__(self) -> None:
        self.tokens = 0
        self.cost = 0.0
        self._places: dict[int, Place] = {}
        self._levels: dict[int, Flows] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, place: Place) -> None:
        """Appends a document to its flow."""
        self._levels.setdefault(place.priority, Flows()).add(place)
        self._places[place.number] = place
        self.tokens += place.tokens
        self.cost += place.cost

    def remove(self, number: int) -> None:
        """Takes a document out, if it is there: it is not served."""
        if number in self._places:
            place = self._places[number]
            self._levels[place.priority].remove(number)
            self._forget(place)

    def first(self) -> int:
        """The number of the next document; there has to be one."""
        return self._levels[max(self._levels)].first()

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
        places = [self._places[number] for number in batch.numbers]
        self._levels[head.priority].begin(head.number, sum(place.cost for place in places))
        for place in places:
            self._levels[place.priority].serve(place.number)
            self._forget(place)
        return places

    def _forget(self, place: Place) -> None:
        del self._places[place.number]
        if not self._levels[place.priority]:
            del self._levels[place.priority]
        self.tokens -= place.tokens
        self.cost -= place.cost

    def _company(self, head: Place, priority: int) -> list[int]:
        """The oldest of a priority that may run with the head, itself among them."""
        oldest = self._levels[priority].oldest(head.settings)
        return list(islice((each for each in oldest if self._may_join(each, head)), _LOOKED_AT))

    def _may_join(self, number: int, head: Place) -> bool:
        """Whether neither costs the other much: padding, and waiting for its encoder."""
        shorter, longer = sorted((self._places[number].tokens, head.tokens))
        return longer <= max(_SHORT, 2 * shorter)

    def _fits(self, plan: Plan, batch: Sequence[int], tokens: int) -> bool:
        """Whether another document of so many tokens may join."""
        lengths = {number: self._places[number].tokens for number in batch}
        return len(plan({**lengths, -1: tokens})) == 1
