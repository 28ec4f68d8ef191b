"""Times of GPU work by its own clock, with its caches emptied before.

Before each measurement the GPU overwrites memory larger than its caches, for long enough that the
host has launched what is measured before the GPU comes to it: a kernel's time is then its own, and
not that of Python. What launches more than that hides, or waits for the host in between, takes the
host's time too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

FLUSH_BYTES = 2**29
"""More than any cache."""
BUSY_MS = 1.0
"""How long the GPU is kept busy while the host launches."""
MATRIX = 8192
MATRIX_REPEATS = 20

Call = Callable[[], object]
Name = TypeVar("Name")


class EventTimer:
    """Measures calls on the current stream of the first GPU."""

    def __init__(self) -> None:
        self._flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device="cuda")
        self._flushes = 1
        self._flush.zero_()
        self._flushes = max(1, math.ceil(BUSY_MS / self._elapsed_ms(self._flush.zero_)))

    def milliseconds(self, call: Call) -> float:
        for _ in range(self._flushes):
            self._flush.zero_()
        return self._elapsed_ms(call)

    def _elapsed_ms(self, call: Call) -> float:
        event: Any = torch.cuda.Event  # untyped
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end))


def measure_in_turns(
    timer: EventTimer, calls: Mapping[Name, Call], *, rounds: int, warm_ups: int = 3
) -> dict[Name, list[float]]:
    """Milliseconds of every round of each, one after the other, in every round."""
    times: dict[Name, list[float]] = {name: [] for name in calls}
    for number in range(-warm_ups, rounds):
        for name, call in calls.items():
            found = timer.milliseconds(call)
            times[name] += [found] if number >= 0 else []
    return times


def matmul_operations_per_second(timer: EventTimer) -> float:
    """Of fp16 matrices of 8192 by 8192: the best of several."""
    a, b = torch.randn(2, MATRIX, MATRIX, dtype=torch.float16, device="cuda")
    out = torch.empty_like(a)
    calls: dict[str, Call] = {"": lambda: torch.matmul(a, b, out=out)}
    times = measure_in_turns(timer, calls, rounds=MATRIX_REPEATS)
    return 2 * MATRIX**3 / (min(times[""]) / 1e3)
