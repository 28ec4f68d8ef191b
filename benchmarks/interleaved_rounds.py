"""Measure several engines in turns, so that a machine that drifts hits all of them alike.

Every engine runs in a worker of its own, loaded once. First each does each of its jobs once,
unmeasured, or a part of it; then come the rounds: job by job, one engine after the other
(A B C, A B C, …).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from engines_under_test import EngineUnderTest, worker_command
from worker_process import WorkerProcess
from workers.line_protocol import GenerationReply, GenerationRequest

__all__ = ["Job", "Timings", "Worker", "measure_rounds", "start_workers"]

SETTLE_S = 0.4  # OpenMP's threads spin for 0.2 s after their work
OTHER_CORES_LIMIT = 0.05


class Worker(Protocol):
    """What is measured; in earnest a `WorkerProcess`."""

    def generate(self, request: GenerationRequest) -> GenerationReply: ...

    def cpu_s(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request, and the names of the engines that it is given to."""

    name: str
    request: GenerationRequest
    engines: Sequence[str]
    warm_up: GenerationRequest | None = None
    """What is done before the first round; None for the request itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What the rounds took."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """job -> engine -> one figure per round"""
    other_cpu_s: list[float] = field(default_factory=list)
    """Processor time that everything else on the machine used, waiting workers included, for each
    measurement in the order of measuring."""

    @property
    def other_cores(self) -> float:
        """Cores that were busy with anything but the measured engine, on average."""
        measured_s = sum(sum(values) for row in self.seconds.values() for values in row.values())
        return sum(self.other_cpu_s) / measured_s if measured_s else 0.0

    def median_s(self, job: str, engine: str) -> float | None:
        """None where the engine was not given that job."""
        values = self.seconds.get(job, {}).get(engine)
        return statistics.median(values) if values else None


@contextmanager
def start_workers(
    engines: Sequence[EngineUnderTest], folders: Mapping[str, Path], *, threads: int, log_dir: Path
) -> Iterator[dict[str, WorkerProcess]]:
    """A worker for each engine, by name; all end with the block."""
    with ExitStack() as stack:
        workers = {}
        for engine in engines:
            print(f"loading {engine.name} …", file=sys.stderr, flush=True)
            command = worker_command(engine, folders[engine.name], threads=threads)
            worker = WorkerProcess(engine.name, command, log=log_dir / f"{engine.name}.log")
            workers[engine.name] = stack.enter_context(worker)
        yield workers


def measure_rounds(
    workers: Mapping[str, Worker],
    jobs: Sequence[Job],
    *,
    rounds: int,
    settle_s: float = SETTLE_S,
) -> Timings:
    """Every job ``rounds`` times on each of its engines, after a warm-up.

    settle_s: to wait before each measurement.

    Raises: WorkerError.
    """
    timings = Timings()
    for job in jobs:
        for engine in job.engines:
            _say(f"warm-up: {job.name}: {engine}")
            workers[engine].generate(job.warm_up or job.request)
    for number in range(1, rounds + 1):
        for job in jobs:
            for engine in job.engines:
                seconds = _measure(workers[engine], job.request, timings, settle_s)
                timings.seconds.setdefault(job.name, {}).setdefault(engine, []).append(seconds)
                _say(f"round {number} of {rounds}: {job.name}: {engine} {seconds:.3f} s")
    if timings.other_cores > OTHER_CORES_LIMIT:
        _say(f"warning: other processes used {timings.other_cores:.2f} cores while we measured")
    return timings


def _measure(
    worker: Worker, request: GenerationRequest, timings: Timings, settle_s: float
) -> float:
    time.sleep(settle_s)
    before_s = _busy_s() - worker.cpu_s()
    seconds = worker.generate(request).seconds
    other_s = _busy_s() - worker.cpu_s() - before_s
    timings.other_cpu_s.append(max(0.0, round(other_s, 3)))
    return seconds


def _busy_s() -> float:
    """Processor time that the whole machine has used so far."""
    times = psutil.cpu_times()
    parts = ("user", "nice", "system", "irq", "softirq")
    return float(sum(getattr(times, part, 0.0) for part in parts))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
