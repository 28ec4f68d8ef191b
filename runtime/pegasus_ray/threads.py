"""Threads of an engine, by what an actor has of a computer."""

from __future__ import annotations

import math

from pegasus_runtime.errors import OptionsError

__all__ = ["threads_for"]


def threads_for(num_cpus: float) -> int:
    """As many as whole CPUs, one at least: actors side by side fill a computer, and no more.

    Raises: OptionsError.
    """
    is_number = isinstance(num_cpus, int | float) and not isinstance(num_cpus, bool)
    if not is_number or not math.isfinite(num_cpus) or num_cpus <= 0:
        raise OptionsError(f"num_cpus is {num_cpus!r}, expected a number above 0")
    return max(1, int(num_cpus))
