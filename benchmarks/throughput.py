"""How long do 200 documents take, beside CTranslate2 at its best batch setting, in one run?

Documents of 100 to 512 random tokens (seeded), summaries forced to 64 tokens, 8 beams, int8, on a
checkpoint of google/pegasus-xsum's shape with random weights.

Ours is one Summarizer, given all documents in one call; it chooses its batches itself. It runs
once with its kernels for CPUs, as far as they are installed, and once with stock operators.
CTranslate2's best setting depends on the machine, so a part of the documents is first run under
each of several: batches of 1 to 16 documents or of 1024 to 4096 tokens, and all threads on one
batch or each thread on a batch of its own. The fastest setting then runs all documents, in turns
with ours.

    python benchmarks/throughput.py --tuning-documents 8 --json docs/figures/throughput.json
    python benchmarks/throughput.py --documents 40 --tuning-documents 8   # a third of the time
    python benchmarks/throughput.py --layers 2 --d-model 64 --documents 4   # does it work?
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from harness import bench
from harness.engines import Engine, worker_command
from harness.prepare import prepare_engines
from harness.protocol import Request
from harness.rounds import SETTLE_S, Job, Timings, measure_rounds
from harness.shapes import random_lengths, write_checkpoint
from harness.table import Cell, Table, columns_of, ratio
from harness.worker_process import WorkerError, WorkerProcess

ENGINES = "pegasus-edge-int8,pegasus-edge-int8-stock-operators,ctranslate2-int8"
SHORTEST_TOKENS, LONGEST_TOKENS = 100, 512
ALL = "all documents"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSetting:
    """How CTranslate2 forms batches, and whether each thread runs one of its own."""

    max_batch_size: int
    batch_type: str
    one_batch_per_thread: bool

    def __str__(self) -> str:
        where = "one per thread" if self.one_batch_per_thread else "all threads on one"
        return f"batches of {self.max_batch_size} {self.batch_type}, {where}"

    def applied(self, request: Request) -> Request:
        return replace(request, max_batch_size=self.max_batch_size, batch_type=self.batch_type)


BATCH_SETTINGS = tuple(
    BatchSetting(max_batch_size=size, batch_type=kind, one_batch_per_thread=per_thread)
    for per_thread, kind, sizes in (
        (False, "examples", (1, 2, 4, 8, 16)),
        (False, "tokens", (1024, 2048, 4096)),
        (True, "examples", (1, 2, 4, 8)),
        (True, "tokens", (1024, 2048)),
    )
    for size in sizes
)


def fastest_setting(tuning_s: Sequence[tuple[BatchSetting, float]]) -> BatchSetting:
    """The setting of the least time."""
    return min(tuning_s, key=lambda entry: entry[1])[0]


def tune_peer(
    peer: Engine, folder: Path, settings: bench.Settings, request: Request
) -> list[tuple[BatchSetting, float]]:
    """The seconds that the request takes under each setting, one worker at a time."""
    found = []
    for per_thread in (False, True):
        with start(peer, folder, settings, per_thread=per_thread) as worker:
            worker.generate(request)
            for setting in BATCH_SETTINGS:
                if setting.one_batch_per_thread == per_thread:
                    time.sleep(SETTLE_S)
                    found.append((setting, worker.generate(setting.applied(request)).seconds))
                    print(f"tuning: {setting}: {found[-1][1]:.3f} s", file=sys.stderr, flush=True)
    return found


def start(
    engine: Engine, folder: Path, settings: bench.Settings, *, per_thread: bool = False
) -> WorkerProcess:
    """A worker with ``settings.threads`` threads in all, on one batch or on one each."""
    parallel = settings.threads if per_thread else 1
    threads = settings.threads // parallel
    command = worker_command(engine, folder, threads=threads, parallel_batches=parallel)
    log = settings.log_dir / f"{engine.name}.log"
    return WorkerProcess(engine.name, command, log=log, environment=engine.environment)


def make_tables(
    engines: Sequence[Engine],
    timings: Timings,
    request: Request,
    tuning_s: Sequence[tuple[BatchSetting, float]],
) -> dict[str, Table]:
    """All documents on each engine, ours first; and the settings that were tried."""
    documents, best = len(request.sources), fastest_setting(tuning_s)
    title = f"{documents} documents of {SHORTEST_TOKENS} to {LONGEST_TOKENS} tokens"
    columns = columns_of(title, "time|s", "x ours||2")
    medians = [timings.median_s(ALL, engine.name) for engine in engines]
    rows: list[tuple[Cell, ...]] = []
    for engine, median_s in zip(engines, medians, strict=True):
        how = "" if engine.is_ours else f", at the best of {len(tuning_s)} batch settings"
        rows.append((engine.title + how, median_s, ratio(median_s, medians[0])))
    tried = columns_of("a part of them", "time|s|3", "which")
    tuning = tuple((str(x), seconds, "best" if x == best else "") for x, seconds in tuning_s)
    return {
        "throughput": Table(columns=columns, rows=tuple(rows)),
        "tuning": Table(columns=tried, rows=tuning),
    }


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    bench.add_engine_arguments(parser, engines=ENGINES, rounds=1)
    add = parser.add_argument
    add("--documents", type=int, default=200, help="default: 200")
    add("--tuning-documents", type=int, default=24, help="of them, to choose by; default: 24")
    add("--new-tokens", type=int, default=64, help="default: 64")
    add("--beams", type=int, default=8, help="default: 8")
    arguments = parser.parse_args(argv)
    settings, timings = bench.settings_from_arguments(parser, arguments), Timings()
    *ours, peer = settings.engines
    if not ours or not all(each.is_ours for each in ours) or peer.family != "ctranslate2":
        parser.error("--engines: expected pegasus-edge-…, one or more, and last a ctranslate2-…")
    shape = settings.shape
    lengths = random_lengths(
        arguments.documents, shortest=SHORTEST_TOKENS, longest=LONGEST_TOKENS, seed=shape.seed
    )
    sources = settings.documents(*lengths)
    request = Request(sources=sources, beams=arguments.beams, new_tokens=arguments.new_tokens)
    part = replace(request, sources=sources[: arguments.tuning_documents])
    checkpoint = write_checkpoint(settings.work_dir, shape)
    folders = prepare_engines(settings.engines, checkpoint, settings.work_dir, timings)
    if timings.missing:
        raise WorkerError("; ".join(f"{name}: {why}" for name, why in timings.missing.items()))
    tuning_s = tune_peer(peer, folders[peer.name], settings, part)
    best = fastest_setting(tuning_s)
    with ExitStack() as stack:
        workers = {}
        for engine in settings.engines:
            per_thread = engine is peer and best.one_batch_per_thread
            worker = start(engine, folders[engine.name], settings, per_thread=per_thread)
            workers[engine.name] = stack.enter_context(worker)
            timings.workers[engine.name] = worker.ready
        names = [engine.name for engine in ours]
        job = Job(name=ALL, request=request, engines=names, warm_up=part)
        theirs = replace(
            job, request=best.applied(request), engines=[peer.name], warm_up=best.applied(part)
        )
        measure_rounds(workers, [job, theirs], timings, rounds=settings.rounds)
    tables = make_tables(settings.engines, timings, request, tuning_s)
    bench.report(arguments, tables, settings=settings, timings=timings)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
