"""What the generator of load is asked for, and what it answers: one JSON object per line.

Only the standard library is used here and in the generator.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests to one server on this machine: so many clients that wait for each answer before they
    ask again, or, open loop, each request at its time whatever became of those before it."""

    port: int
    path: str
    bodies: Sequence[str]
    """Of JSON; sent in this order."""
    clients: int = 0
    """0 for open loop."""
    arrivals_s: Sequence[float] = ()
    """From the start on, ascending: of open loop, one for each body."""
    timeout_s: float = 60.0
    """Of one request, from the moment it should have been sent."""

    def __post_init__(self) -> None:
        if not self.bodies:
            raise ValueError("bodies: expected one or more")
        if bool(self.clients) == bool(self.arrivals_s):
            raise ValueError(
                f"clients is {self.clients} and arrivals_s has {len(self.arrivals_s)} times:"
                " expected clients for closed loop, or times for open loop"
            )
        if self.arrivals_s and len(self.arrivals_s) != len(self.bodies):
            raise ValueError(
                f"arrivals_s has {len(self.arrivals_s)} times for {len(self.bodies)} bodies"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """To one request, in the order of the bodies. Times are from the start on, in seconds."""

    scheduled_s: float
    """When it should have been sent; in closed loop, when it was."""
    sent_s: float
    done_s: float
    status: int
    """0 where no answer came: ``body`` says why."""
    retry_after: str = ""
    body: str = ""

    @property
    def seconds(self) -> float:
        """From the moment it should have been sent: a late generator or a queue before the server
        counts as waiting."""
        return self.done_s - self.scheduled_s

    @property
    def ok(self) -> bool:
        return self.status == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReply:
    """What came of it."""

    seconds: float
    """From the start to the last answer."""
    cpu_s: float
    """Processor time of the generator."""
    answers: Sequence[Answer]

    @property
    def finished(self) -> Sequence[Answer]:
        return [each for each in self.answers if each.ok]

    @property
    def per_second(self) -> float:
        """Answers 200, over the whole time."""
        return len(self.finished) / self.seconds

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LoadReply:
        answers = [Answer(**each) for each in content["answers"]]
        return cls(seconds=content["seconds"], cpu_s=content["cpu_s"], answers=answers)


def poisson_arrivals(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Times of a Poisson process: gaps are drawn from an exponential distribution.

    rate: arrivals a second, on average. seconds: those after it are left out; at least one stays.
    """
    if rate <= 0 or seconds <= 0:
        raise ValueError(f"rate is {rate} and seconds {seconds}, expected both above 0")
    rng = random.Random(seed)
    times = [rng.expovariate(rate)]
    while times[-1] < seconds:
        times.append(times[-1] + rng.expovariate(rate))
    return times[:-1] or [seconds]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all are not above (nearest rank)."""
    if not values:
        raise ValueError("values: expected one or more")
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
