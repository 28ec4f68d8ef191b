"""What an actor has of a computer, and the threads of its engine by that."""

from __future__ import annotations

import math

from pegasus_runtime.errors import OptionsError

__all__ = ["checked_gpus", "threads_for"]


def threads_for(num_cpus: float) -> int:
    """As many as whole CPUs, one at least: actors side by side fill a computer, and no more.

    Raises: OptionsError.
    """
    if not _is_number(num_cpus) or num_cpus <= 0:
        raise OptionsError(f"num_cpus is {num_cpus!r}, expected a number above 0")
    return max(1, int(num_cpus))


def checked_gpus(num_gpus: float) -> float:
    """Raises: OptionsError."""
    if not _is_number(num_gpus) or num_gpus < 0:
        raise OptionsError(f"num_gpus is {num_gpus!r}, expected a number from 0 up")
    return num_gpus


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)  # type: ignore[arg-type]
