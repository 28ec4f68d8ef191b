"""Measure several engines in turns, so that a machine that drifts hits all of them alike.

Every engine runs in a worker of its own, loaded once. First each does each of its jobs unmeasured,
or a part of it; then come the rounds: job by job, one engine after the other (A B C, A B C, …). An
engine that cannot be loaded, or fails at a job, has no figures there, and a reason.
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

from harness.engines import Engine, worker_command
from harness.protocol import Ready, Reply, Request, Tokens
from harness.worker_process import WorkerError, WorkerProcess

SETTLE_S = 0.4  # OpenMP's threads spin for 0.2 s after their work
OTHER_CORES_LIMIT = 0.05


class Worker(Protocol):
    """What is measured; in earnest a `WorkerProcess`."""

    def generate(self, request: Request) -> Reply: ...

    def cpu_s(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A request, and the names of the engines that it is given to."""

    name: str
    request: Request
    engines: Sequence[str]
    warm_up: Request | None = None
    """What is done before the first round; None for the request itself."""


@dataclass(slots=True, kw_only=True)
class Timings:
    """What the rounds took: job -> engine -> of every round."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Tokens]] = field(default_factory=dict)
    warm_peaks: dict[str, dict[str, int]] = field(default_factory=dict)
    """job -> engine -> the most memory of its process after its warm-up, in bytes"""
    missing: dict[str, str] = field(default_factory=dict)
    """"engine", or "engine, job" -> why it has no figures"""
    workers: dict[str, Ready] = field(default_factory=dict)
    other_cpu_s: list[float] = field(default_factory=list)
    """Processor time that everything else on the machine used, waiting workers included, for each
    measurement in the order of measuring."""

    @property
    def other_cores(self) -> float:
        """Cores that were busy with anything but the measured engine, on average."""
        measured_s = sum(sum(values) for row in self.seconds.values() for values in row.values())
        return sum(self.other_cpu_s) / measured_s if measured_s else 0.0

    def median_s(self, job: str, engine: str) -> float | None:
        """None where the engine has no figure for that job."""
        values = self.seconds.get(job, {}).get(engine)
        return statistics.median(values) if values else None

    def drop(self, name: str, reason: str) -> None:
        """name: an engine's, or that of an engine and a job."""
        self.missing[name] = reason.splitlines()[0]
        _say(f"not measured: {name}: {reason}")


@contextmanager
def start_workers(
    engines: Sequence[Engine],
    folders: Mapping[str, Path],
    timings: Timings,
    *,
    threads: int,
    log_dir: Path,
    encoder_only: bool = False,
) -> Iterator[dict[str, WorkerProcess]]:
    """A worker for each engine that loads, by name; all end with the block."""
    with ExitStack() as stack:
        workers = {}
        for engine in engines:
            if engine.name not in folders:
                continue
            _say(f"loading {engine.name} …")
            command = worker_command(
                engine, folders[engine.name], threads=threads, encoder_only=encoder_only
            )
            try:
                log = log_dir / f"{engine.name}.log"
                worker = WorkerProcess(
                    engine.name, command, log=log, environment=engine.environment
                )
            except WorkerError as err:
                timings.drop(engine.name, str(err))
                continue
            workers[engine.name] = stack.enter_context(worker)
            timings.workers[engine.name] = worker.ready
        yield workers


def measure_rounds(
    workers: Mapping[str, Worker],
    jobs: Sequence[Job],
    timings: Timings,
    *,
    rounds: int,
    warm_ups: int = 1,
    settle_s: float = SETTLE_S,
) -> None:
    """Every job ``rounds`` times on each of its engines that are there, after the warm-ups.

    settle_s: to wait before each measurement.
    """
    for number in range(1 - warm_ups, rounds + 1):
        what = f"round {number} of {rounds}" if number > 0 else "warm-up"
        for job in jobs:
            for engine in job.engines:
                name = f"{engine}, {job.name}"
                if engine not in workers or name in timings.missing:
                    continue
                _say(f"{what}: {job.name}: {engine}")
                try:
                    if number > 0:
                        _measure(workers[engine], engine, job, timings, settle_s)
                    else:
                        reply = workers[engine].generate(job.warm_up or job.request)
                        peaks = timings.warm_peaks.setdefault(job.name, {})
                        peaks.setdefault(engine, reply.peak_rss_bytes)
                except WorkerError as err:
                    timings.drop(name, str(err))
                    timings.seconds.get(job.name, {}).pop(engine, None)
    if timings.other_cores > OTHER_CORES_LIMIT:
        _say(f"warning: other processes used {timings.other_cores:.2f} cores while we measured")


def _measure(worker: Worker, engine: str, job: Job, timings: Timings, settle_s: float) -> None:
    time.sleep(settle_s)
    before_s = busy_s() - worker.cpu_s()
    reply = worker.generate(job.request)
    other_s = busy_s() - worker.cpu_s() - before_s
    timings.other_cpu_s.append(max(0.0, round(other_s, 3)))
    timings.seconds.setdefault(job.name, {}).setdefault(engine, []).append(reply.seconds)
    timings.tokens.setdefault(job.name, {})[engine] = reply.tokens
    _say(f"  {reply.seconds:.3f} s")


def busy_s() -> float:
    """Processor time that the whole machine has used so far."""
    times = psutil.cpu_times()
    parts = ("user", "nice", "system", "irq", "softirq")
    return float(sum(getattr(times, part, 0.0) for part in parts))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
