"""How much of a decoder step is Python?

Times every run of the decoder's graph from inside the process that searches: what lies between the
end of one run and the start of the next is the search and the binding of its results. Medians over
the steps of a summary, after a warm-up.

    python benchmarks/step_overhead.py --json step_overhead.json       # the published figures
    python benchmarks/step_overhead.py --layers 2 --d-model 64         # does the script work?
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmark_arguments import (
    NO_TARGETS,
    add_summary_arguments,
    benchmark_parser,
    parse_numbers,
    prepare_folders,
    run_benchmark,
    settings_from_arguments,
    summary_from_arguments,
)
from benchmark_report import write_report
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.sessions.ort.engine import OrtEngine
from random_documents import random_documents
from ratio_table import Target, format_columns, format_number, format_verdicts, judge

__all__ = ["Overhead", "TimedSession"]

TARGET = Target(
    name="Python's share of a step, pegasus-edge-int8, batch 1", limit=3, unit="%", at_most=True
)


class TimedSession:
    """A session that notes when its runs start and end."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.starts: list[float] = []
        self.ends: list[float] = []

    def run_with_iobinding(self, *arguments: Any) -> None:
        self.starts.append(time.perf_counter())
        self.session.run_with_iobinding(*arguments)
        self.ends.append(time.perf_counter())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Medians of one engine at one batch size."""

    engine: str
    batch: int
    graph_s: float
    python_s: float

    @property
    def python_percent(self) -> float:
        return 100 * self.python_s / (self.python_s + self.graph_s)


def measure_overhead(
    name: str, engine: OrtEngine, sources: Sequence[Sequence[int]], settings: SearchSettings
) -> Overhead:
    """Runs twice, and measures the second time."""
    timed = TimedSession(engine.decoder.session)
    engine.decoder.session = timed
    try:
        for _ in range(2):
            timed.starts.clear()
            timed.ends.clear()
            generate(engine, sources, settings)
    finally:
        engine.decoder.session = timed.session
    starts, ends = np.array(timed.starts), np.array(timed.ends)
    return Overhead(
        engine=name,
        batch=len(sources),
        graph_s=float(np.median(ends - starts)),
        python_s=float(np.median(starts[1:] - ends[:-1])),
    )


def format_rows(rows: Sequence[Overhead]) -> str:
    lines: list[tuple[str, ...]] = [("", "graph", "Python", "Python's share")]
    for row in rows:
        times = (format_number(1000 * seconds, "ms") for seconds in (row.graph_s, row.python_s))
        share = format_number(row.python_percent, "%", digits=1)
        lines.append((f"{row.engine}, batch {row.batch}", *times, share))
    return format_columns(lines)


def run(argv: Sequence[str] | None) -> None:
    parser = benchmark_parser(__doc__, engines="pegasus-edge-int8", rounds=1)
    parser.add_argument("--batch", type=parse_numbers, default=(1, 8), help="default: 1,8")
    add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    if not all(engine.is_ours for engine in arguments.engines):
        parser.error("--engines: expected only pegasus-edge-…, whose search is Python")
    settings, summary = settings_from_arguments(arguments), summary_from_arguments(arguments)
    rows = []
    for name, folder in prepare_folders(settings).items():
        bundle = open_bundle(folder)
        engine = OrtEngine(bundle, threads=settings.threads)
        options = GenerationOptions(
            num_beams=summary.beams,
            max_new_tokens=summary.new_tokens,
            min_new_tokens=summary.new_tokens,
        )
        search = resolve_for_manifest(options, bundle.manifest)
        for batch in arguments.batch:
            lengths = [summary.source_tokens] * batch
            vocabulary = settings.shape.vocabulary
            sources = random_documents(lengths, vocabulary=vocabulary, seed=settings.shape.seed)
            rows.append(measure_overhead(name, engine, sources, search))
    print(f"{format_rows(rows)}\n")
    verdicts = []
    if settings.targets_apply(summary):
        shares = {
            f"Python's share of a step, {row.engine}, batch {row.batch}": row.python_percent
            for row in rows
        }
        verdicts = judge([TARGET], shares)
        print(format_verdicts(verdicts))
    else:
        print(NO_TARGETS)
    figures = {"rows": [{**asdict(row), "python_percent": row.python_percent} for row in rows]}
    write_report(arguments.json, settings, figures, verdicts)


if __name__ == "__main__":
    sys.exit(run_benchmark(run))
