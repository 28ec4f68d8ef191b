"""The parts of the attack: how many cases each has, and how long one may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attack.bases import Bases
from attack.outcome import Outcome
from attack.pool import run_cases

__all__ = ["PARTS", "Part", "run_part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """count: cases of `make attack`. timeout_s: of one case, which hangs otherwise. is_series:
    whether a case is judged by what those before it left, and not tried again by itself."""

    count: int
    counted: str
    timeout_s: float
    most_workers: int = 2
    is_series: bool = False


PARTS: Mapping[str, Part] = {
    "bundles": Part(count=5000, counted="mutated bundles", timeout_s=20),
    "kernel_calls": Part(count=2000, counted="mutated calls of kernels", timeout_s=20),
    "command_lines": Part(count=400, counted="option values and paths", timeout_s=30),
    "streams": Part(count=100, counted="closed, full, broken streams", timeout_s=90),
    "checkpoints": Part(count=1000, counted="mutated checkpoints", timeout_s=120),
    "kills": Part(count=200, counted="commands that a signal ends", timeout_s=150),
    "resumed_runs": Part(count=40, counted="runs killed on the way", timeout_s=300),
    "connections": Part(count=18, counted="commands watched by strace", timeout_s=150),
    "hostile_folders": Part(count=13, counted="commands among hostile modules", timeout_s=150),
    "forks": Part(count=200, counted="processes that fork", timeout_s=120),
    "full_disks": Part(count=20, counted="exports to full disks", timeout_s=120),
    "races": Part(count=200, counted="times 50 loads while the bundle is replaced", timeout_s=120),
    "soaks": Part(
        count=200,
        counted="times 3 s with 16 threads",
        timeout_s=240,
        most_workers=1,
        is_series=True,
    ),
    "servers": Part(
        count=200,
        counted="times 100 requests to a server",
        timeout_s=240,
        most_workers=1,
        is_series=True,
    ),
}


def run_part(
    name: str,
    bases: Bases,
    work: Path,
    cases: Sequence[int],
    *,
    seed: int,
    num_workers: int,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Tries the cases of one part."""
    return run_cases(
        name,
        bases,
        work,
        cases,
        seed=seed,
        timeout_s=PARTS[name].timeout_s,
        num_workers=min(num_workers, PARTS[name].most_workers, len(cases)),
        is_series=PARTS[name].is_series,
        on_outcome=on_outcome,
    )
