"""How long do 200 documents take, beside CTranslate2 at its best batch setting, in one run?

Documents of 100 to 512 random tokens (seeded), summaries forced to 64 tokens, 8 beams, int8, on a
checkpoint of google/pegasus-xsum's shape with random weights.

Ours is one Summarizer, given all documents in one call; it chooses its batches itself.
CTranslate2's best setting depends on the machine, so a part of the documents is first run under
each of several: batches of 1 to 16 documents or of 1024 to 4096 tokens, and all threads on one
batch or each thread on a batch of its own. The fastest setting then runs all documents, after
ours has; --rounds 2 repeats both.

    python benchmarks/throughput.py --tuning-documents 8 --json throughput.json   # as published
    python benchmarks/throughput.py --documents 40 --tuning-documents 8   # a third of the time
    python benchmarks/throughput.py --layers 2 --d-model 64 --documents 20   # does it work?
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmark_arguments import (
    NO_TARGETS,
    BenchmarkSettings,
    SummaryWork,
    benchmark_parser,
    prepare_folders,
    run_benchmark,
    settings_from_arguments,
)
from benchmark_report import describe_workers, write_report
from engines_under_test import EngineUnderTest, worker_command
from interleaved_rounds import SETTLE_S, Job, Timings, measure_rounds
from random_documents import random_documents, random_lengths
from ratio_table import (
    Target,
    Verdict,
    format_columns,
    format_number,
    format_verdicts,
    judge,
    ratio_to_peer,
)
from worker_process import WorkerProcess
from workers.line_protocol import GenerationRequest

__all__ = ["BATCH_SETTINGS", "BatchSetting", "fastest_setting"]

SHORTEST_TOKENS = 100
LONGEST_TOKENS = 512
TARGET = Target(name="ctranslate2-int8 / pegasus-edge-int8, all documents", limit=1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSetting:
    """How CTranslate2 forms batches, and whether each thread runs one of its own."""

    max_batch_size: int
    batch_type: str
    one_batch_per_thread: bool

    def __str__(self) -> str:
        where = "one per thread" if self.one_batch_per_thread else "all threads on one"
        return f"batches of {self.max_batch_size} {self.batch_type}, {where}"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    documents: int
    tuning_documents: int
    new_tokens: int
    beams: int
    source_tokens: Sequence[int]


def fastest_setting(tuning_s: Sequence[tuple[BatchSetting, float]]) -> BatchSetting:
    """The setting of the least time."""
    return min(tuning_s, key=lambda entry: entry[1])[0]


def tune_peer(
    folder: Path, settings: BenchmarkSettings, request: GenerationRequest
) -> list[tuple[BatchSetting, float]]:
    """The seconds that the request takes under each setting, one worker at a time."""
    found = []
    for per_thread in (False, True):
        with start_peer(folder, settings, one_batch_per_thread=per_thread) as worker:
            worker.generate(request)
            for setting in BATCH_SETTINGS:
                if setting.one_batch_per_thread == per_thread:
                    time.sleep(SETTLE_S)
                    seconds = worker.generate(_with_batches(request, setting)).seconds
                    found.append((setting, seconds))
                    print(f"tuning: {setting}: {seconds:.3f} s", file=sys.stderr, flush=True)
    return found


@contextmanager
def start_peer(
    folder: Path, settings: BenchmarkSettings, *, one_batch_per_thread: bool
) -> Iterator[WorkerProcess]:
    """CTranslate2's worker, with ``settings.threads`` threads in all."""
    parallel = settings.threads if one_batch_per_thread else 1
    peer = _peer(settings)
    command = worker_command(
        peer, folder, threads=settings.threads // parallel, parallel_batches=parallel
    )
    with WorkerProcess(peer.name, command, log=settings.log_dir / f"{peer.name}.log") as worker:
        yield worker


def measure_all(
    folders: dict[str, Path],
    settings: BenchmarkSettings,
    request: GenerationRequest,
    part: GenerationRequest,
    best: BatchSetting,
) -> tuple[Timings, dict[str, object]]:
    """All documents on both engines, in turns; the timings, and what was loaded.

    part: some of the documents, to warm up.
    """
    ours, peer = _ours(settings), _peer(settings)
    command = worker_command(ours, folders[ours.name], threads=settings.threads)
    log = settings.log_dir / f"{ours.name}.log"
    per_thread = best.one_batch_per_thread
    with (
        WorkerProcess(ours.name, command, log=log) as our_worker,
        start_peer(folders[peer.name], settings, one_batch_per_thread=per_thread) as peer_worker,
    ):
        workers = {ours.name: our_worker, peer.name: peer_worker}
        job = Job(name="all documents", request=request, engines=[ours.name], warm_up=part)
        peer_job = replace(
            job,
            request=_with_batches(request, best),
            engines=[peer.name],
            warm_up=_with_batches(part, best),
        )
        timings = measure_rounds(workers, [job, peer_job], rounds=settings.rounds)
        return timings, describe_workers(workers)


def format_tuning(tuning_s: Sequence[tuple[BatchSetting, float]]) -> str:
    best = fastest_setting(tuning_s)
    rows = [("CTranslate2, part of the documents", "time", "")]
    for setting, seconds in tuning_s:
        mark = "best" if setting == best else ""
        rows.append((str(setting), format_number(seconds, "s", digits=3), mark))
    return format_columns(rows)


def format_totals(timings: Timings, workload: Workload, ours: str, peer: str) -> str:
    rows = [("all documents", "time", "documents/s", "new tokens/s", f"/ {ours}")]
    for engine in (ours, peer):
        seconds = timings.median_s("all documents", engine)
        if seconds is None:
            continue
        ratio = ratio_to_peer(seconds, timings.median_s("all documents", ours))
        rows.append(
            (
                engine,
                format_number(seconds, "s"),
                f"{workload.documents / seconds:.3f}",
                f"{workload.documents * workload.new_tokens / seconds:.1f}",
                format_number(ratio, "x"),
            )
        )
    return format_columns(rows)


def _with_batches(request: GenerationRequest, setting: BatchSetting) -> GenerationRequest:
    return replace(request, max_batch_size=setting.max_batch_size, batch_type=setting.batch_type)


def _ours(settings: BenchmarkSettings) -> EngineUnderTest:
    return next(engine for engine in settings.engines if engine.is_ours)


def _peer(settings: BenchmarkSettings) -> EngineUnderTest:
    return next(engine for engine in settings.engines if engine.family == "ctranslate2")


def report(
    workload: Workload,
    settings: BenchmarkSettings,
    tuning_s: Sequence[tuple[BatchSetting, float]],
    timings: Timings,
) -> list[Verdict]:
    """Prints the tables; the verdict on the target, where it applies."""
    ours, peer = _ours(settings).name, _peer(settings).name
    print(f"{format_tuning(tuning_s)}\n\n{format_totals(timings, workload, ours, peer)}\n")
    work = SummaryWork(new_tokens=workload.new_tokens, beams=workload.beams)
    if not settings.targets_apply(work):
        print(NO_TARGETS)
        return []
    job = "all documents"
    ratio = ratio_to_peer(timings.median_s(job, peer), timings.median_s(job, ours))
    verdicts = judge([TARGET], {f"{peer} / {ours}, {job}": ratio})
    print(format_verdicts(verdicts))
    return verdicts


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    default = "pegasus-edge-int8,ctranslate2-int8"
    parser = benchmark_parser(__doc__, engines=default, rounds=1)
    parser.add_argument("--documents", type=int, default=200, help="default: 200")
    parser.add_argument(
        "--tuning-documents",
        type=int,
        default=24,
        help="of them, for the choice of CTranslate2's batches; default: 24",
    )
    parser.add_argument("--new-tokens", type=int, default=64, help="default: 64")
    parser.add_argument("--beams", type=int, default=8, help="default: 8")
    arguments = parser.parse_args(argv)
    if sorted(engine.family for engine in arguments.engines) != ["ctranslate2", "pegasus-edge"]:
        parser.error("--engines: expected one pegasus-edge-… and one ctranslate2-…")
    return arguments


def run(argv: Sequence[str] | None) -> None:
    arguments = parse_arguments(argv)
    settings = settings_from_arguments(arguments)
    shape = settings.shape
    lengths = random_lengths(
        arguments.documents, shortest=SHORTEST_TOKENS, longest=LONGEST_TOKENS, seed=shape.seed
    )
    workload = Workload(
        documents=arguments.documents,
        tuning_documents=min(arguments.tuning_documents, arguments.documents),
        new_tokens=arguments.new_tokens,
        beams=arguments.beams,
        source_tokens=lengths,
    )
    request = GenerationRequest(
        sources=random_documents(lengths, vocabulary=shape.vocabulary, seed=shape.seed),
        beams=workload.beams,
        new_tokens=workload.new_tokens,
    )
    part = replace(request, sources=request.sources[: workload.tuning_documents])
    folders = prepare_folders(settings)
    tuning_s = tune_peer(folders[_peer(settings).name], settings, part)
    best = fastest_setting(tuning_s)
    timings, loaded = measure_all(folders, settings, request, part, best)
    content = {
        "workload": asdict(workload),
        "workers": loaded,
        "tuning": [{**asdict(setting), "seconds": seconds} for setting, seconds in tuning_s],
        "best": asdict(best),
        "raw_seconds": timings.seconds,
        "other_cores": timings.other_cores,
    }
    verdicts = report(workload, settings, tuning_s, timings)
    write_report(arguments.json, settings, content, verdicts)


if __name__ == "__main__":
    sys.exit(run_benchmark(run))
