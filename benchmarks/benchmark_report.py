"""The JSON report of a benchmark: its figures, and what a reader needs to judge them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmark_arguments import BenchmarkSettings
from measure import describe_machine
from peers import REPOSITORY
from ratio_table import Verdict
from worker_process import WorkerProcess

__all__ = ["describe_workers", "write_report"]


def write_report(
    path: Path | None,
    settings: BenchmarkSettings,
    figures: Mapping[str, object],
    verdicts: Sequence[Verdict] = (),
) -> None:
    """Writes machine, settings, figures and verdicts to ``path``, if it is given."""
    if path is None:
        return
    report = {
        "machine": describe_machine(REPOSITORY),
        "shape": asdict(settings.shape),
        "engines": settings.engine_names,
        "threads": settings.threads,
        "rounds": settings.rounds,
        **figures,
        "targets": [asdict(verdict) for verdict in verdicts],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def describe_workers(workers: Mapping[str, WorkerProcess]) -> dict[str, object]:
    """Engine name -> times of loading, and versions."""
    return {name: asdict(worker.ready) for name, worker in workers.items()}
