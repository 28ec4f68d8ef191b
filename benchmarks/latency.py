"""How long does one summary take, and eight at once, beside the peers, in one run?

Documents of 512 random tokens, summaries of 64 tokens, 8 beams, 2 threads, on a checkpoint of
google/pegasus-xsum's shape with random weights. Summaries are forced to their full length, and
every engine's is counted, so that all do the same work. Each engine runs in a process of its own
and is measured in turns with the others; figures are medians over the rounds, after a warm-up.

The time of a decoder step is the difference between summaries of 64 and of 2 tokens, over 62; what
remains of the summary of 2 tokens is the encoder and the first step. A ratio is an engine's total
over ours.

Eight documents are one call, and one batch of CTranslate2 on both threads (throughput.py looks for
its best batches). They take transformers and Optimum minutes a run, so only the engines of
--batched-engines are given more than one. All engines are loaded at the same time: the default six
need about 16 GB of memory, and 20 GB of disk in build/benchmarks.

    python benchmarks/latency.py --json latency.json                    # the published figures
    python benchmarks/latency.py --engines pegasus-edge-int8,ctranslate2-int8
    python benchmarks/latency.py --layers 2 --d-model 64 --rounds 1     # does the script work?
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmark_arguments import (
    NO_TARGETS,
    BenchmarkSettings,
    SummaryWork,
    add_summary_arguments,
    benchmark_parser,
    parse_numbers,
    prepare_folders,
    run_benchmark,
    settings_from_arguments,
    summary_from_arguments,
)
from benchmark_report import describe_workers, write_report
from engines_under_test import ENGINES, EngineUnderTest, parse_engines
from interleaved_rounds import Job, Timings, measure_rounds, start_workers
from random_documents import random_documents
from ratio_table import (
    Target,
    Verdict,
    format_columns,
    format_number,
    format_verdicts,
    judge,
    ratio_to_peer,
)
from workers.line_protocol import GenerationRequest

__all__ = ["LatencyRow", "latency_rows", "step_seconds"]

ENGINE_NAMES = (
    "pegasus-edge-fp32,pegasus-edge-int8,ctranslate2-fp32,ctranslate2-int8,"
    "optimum-fp32,transformers-fp32"
)
BATCHED_ENGINE_NAMES = "pegasus-edge-fp32,pegasus-edge-int8,ctranslate2-fp32,ctranslate2-int8"
SHORT_TOKENS = 2
TARGETS = tuple(
    Target(name=f"batch {batch}: {peer} / {ours}", limit=limit)
    for batch, ours, peer, limit in (
        (1, "pegasus-edge-int8", "ctranslate2-int8", 1.6),
        (8, "pegasus-edge-int8", "ctranslate2-int8", 2.0),
        (1, "pegasus-edge-fp32", "ctranslate2-fp32", 1.6),
        (1, "pegasus-edge-fp32", "optimum-fp32", 2.0),
        (1, "pegasus-edge-fp32", "transformers-fp32", 2.8),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """One engine at one batch size; times are medians."""

    batch: int
    engine: str
    total_s: float
    fastest_s: float
    slowest_s: float
    step_s: float
    before_steps_s: float
    """Encoder and first step."""
    ratios: dict[str, float]
    """Name of an engine of ours -> total over its total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    summary: SummaryWork
    batches: tuple[int, ...]
    batched_engines: tuple[EngineUnderTest, ...]


def step_seconds(long_s: float, short_s: float, new_tokens: int) -> tuple[float, float]:
    """Time of one decoder step, and time of all that comes before the second step."""
    step_s = (long_s - short_s) / (new_tokens - SHORT_TOKENS)
    return step_s, short_s - (SHORT_TOKENS - 1) * step_s


def plan_jobs(settings: BenchmarkSettings, workload: Workload) -> list[Job]:
    """A long and a short summary for each batch size."""
    jobs = []
    batched = {engine.name for engine in workload.batched_engines}
    for batch in workload.batches:
        names = [name for name in settings.engine_names if batch == 1 or name in batched]
        sources = random_documents(
            [workload.summary.source_tokens] * batch,
            vocabulary=settings.shape.vocabulary,
            seed=settings.shape.seed,
        )
        for new_tokens in (workload.summary.new_tokens, SHORT_TOKENS):
            request = GenerationRequest(
                sources=sources, beams=workload.summary.beams, new_tokens=new_tokens
            )
            jobs.append(Job(name=_job_name(batch, new_tokens), request=request, engines=names))
    return jobs


def latency_rows(timings: Timings, workload: Workload) -> list[LatencyRow]:
    """One row for each batch size and engine that was measured, in the order of measuring."""
    rows = []
    for batch in workload.batches:
        long_name = _job_name(batch, workload.summary.new_tokens)
        for engine in timings.seconds.get(long_name, {}):
            total_s = timings.median_s(long_name, engine)
            short_s = timings.median_s(_job_name(batch, SHORT_TOKENS), engine)
            if total_s is None or short_s is None:
                continue
            step_s, before_steps_s = step_seconds(total_s, short_s, workload.summary.new_tokens)
            row = LatencyRow(
                batch=batch,
                engine=engine,
                total_s=total_s,
                fastest_s=min(timings.seconds[long_name][engine]),
                slowest_s=max(timings.seconds[long_name][engine]),
                step_s=step_s,
                before_steps_s=before_steps_s,
                ratios=_ratios(timings, long_name, total_s),
            )
            rows.append(row)
    return rows


def format_batch(rows: Sequence[LatencyRow]) -> str:
    """The table of one batch size."""
    ours = list(rows[0].ratios)
    headings = (
        "total",
        "fastest to slowest",
        "encoder + first step",
        "per step",
        *(f"/ {name}" for name in ours),
    )
    lines = [("", *headings)]
    for row in rows:
        times = (
            format_number(row.total_s, "s", digits=3),
            f"{row.fastest_s:.3f} to {row.slowest_s:.3f} s",
            format_number(row.before_steps_s, "s", digits=3),
            format_number(1000 * row.step_s, "ms"),
        )
        ratios = (format_number(row.ratios[name], "x") for name in ours)
        lines.append((row.engine, *times, *ratios))
    return format_columns(lines)


def _job_name(batch: int, new_tokens: int) -> str:
    return f"batch {batch}, {new_tokens} tokens"


def _ratios(timings: Timings, job: str, total_s: float) -> dict[str, float]:
    ratios = {}
    for name in timings.seconds[job]:
        ratio = ratio_to_peer(total_s, timings.median_s(job, name))
        if ENGINES[name].is_ours and ratio is not None:
            ratios[name] = ratio
    return ratios


def print_report(
    rows: Sequence[LatencyRow], settings: BenchmarkSettings, workload: Workload
) -> list[Verdict]:
    """The tables; returns the verdicts, of which there are none where targets do not apply."""
    summary = workload.summary
    print(
        f"{summary.source_tokens} -> {summary.new_tokens} tokens, {summary.beams} beams, "
        f"{settings.threads} threads, median of {settings.rounds}\n"
    )
    for batch in workload.batches:
        found = [row for row in rows if row.batch == batch]
        if found:
            print(f"batch {batch}\n{format_batch(found)}\n")
    if not settings.targets_apply(summary):
        print(NO_TARGETS)
        return []
    figures = {
        f"batch {row.batch}: {row.engine} / {ours}": ratio
        for row in rows
        for ours, ratio in row.ratios.items()
    }
    verdicts = judge(TARGETS, figures)
    print(format_verdicts(verdicts))
    return verdicts


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = benchmark_parser(__doc__, engines=ENGINE_NAMES, rounds=3)
    parser.add_argument("--batch", type=parse_numbers, default=(1, 8), help="default: 1,8")
    parser.add_argument(
        "--batched-engines",
        type=parse_engines,
        default=parse_engines(BATCHED_ENGINE_NAMES),
        metavar="A,B",
        help=f"those of --engines that also do batches over 1; default: {BATCHED_ENGINE_NAMES}",
    )
    parser.add_argument("--with-int4", action="store_true", help="add pegasus-edge-int4")
    add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.new_tokens <= SHORT_TOKENS:
        parser.error(f"--new-tokens is {arguments.new_tokens}, expected over {SHORT_TOKENS}")
    if arguments.with_int4:
        int4 = ENGINES["pegasus-edge-int4"]
        arguments.engines = tuple(dict.fromkeys((*arguments.engines, int4)))
        arguments.batched_engines = (*arguments.batched_engines, int4)
    return arguments


def run(argv: Sequence[str] | None) -> None:
    arguments = parse_arguments(argv)
    settings = settings_from_arguments(arguments)
    workload = Workload(
        summary=summary_from_arguments(arguments),
        batches=arguments.batch,
        batched_engines=arguments.batched_engines,
    )
    folders = prepare_folders(settings)
    with start_workers(
        settings.engines, folders, threads=settings.threads, log_dir=settings.log_dir
    ) as workers:
        timings = measure_rounds(workers, plan_jobs(settings, workload), rounds=settings.rounds)
        loaded = describe_workers(workers)
    rows = latency_rows(timings, workload)
    verdicts = print_report(rows, settings, workload)
    content = {
        "workload": asdict(workload),
        "workers": loaded,
        "rows": [asdict(row) for row in rows],
        "raw_seconds": timings.seconds,
        "other_cores": timings.other_cores,
    }
    write_report(arguments.json, settings, content, verdicts)


if __name__ == "__main__":
    sys.exit(run_benchmark(run))
