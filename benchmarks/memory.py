"""What does an engine need to be there: time to load, memory, disk; beside the peers, in one run?

Every round starts each engine in a fresh process, in turns; load times are medians over the
rounds, after one unmeasured round that brings the files into the disk cache. Loading is from the
folder to an engine that takes requests; importing packages is counted apart. Peak memory is the
high-water mark of the process after the last round's process has summarised one document of 512
tokens in 64, with 8 beams; "of it in files" is what is mapped from files then, which the system
can take back. Disk is the folder that the engine loads.

    python benchmarks/memory.py --json memory.json                     # the published figures
    python benchmarks/memory.py --engines pegasus-edge-int8,ctranslate2-int8
    python benchmarks/memory.py --layers 2 --d-model 64 --rounds 2     # does the script work?
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmark_arguments import (
    NO_TARGETS,
    BenchmarkSettings,
    add_summary_arguments,
    benchmark_parser,
    prepare_folders,
    run_benchmark,
    settings_from_arguments,
    summary_from_arguments,
)
from benchmark_report import write_report
from engines_under_test import EngineUnderTest, worker_command
from measure import folder_bytes
from random_documents import random_documents
from ratio_table import (
    Target,
    format_columns,
    format_number,
    format_verdicts,
    judge,
    ratio_to_peer,
)
from worker_process import WorkerProcess
from workers.line_protocol import GenerationRequest

__all__ = ["Footprint", "target_figures"]

MB = 1e6
ENGINE_NAMES = (
    "pegasus-edge-int8,pegasus-edge-fp32,ctranslate2-int8,ctranslate2-fp32,"
    "optimum-fp32,transformers-fp32"
)
DISK = "disk, pegasus-edge-int8"
LOAD = "load, pegasus-edge-int8"
PEAK = "peak memory, pegasus-edge-int8 / ctranslate2-int8"
TARGETS = (
    Target(name=DISK, limit=620, unit="MB", at_most=True),
    Target(name=LOAD, limit=1.0, unit="s", at_most=True),
    Target(name=PEAK, limit=1.1, at_most=True),
)


@dataclass(slots=True, kw_only=True)
class Footprint:
    """What one engine takes; the lists hold one figure per round."""

    disk_bytes: int
    load_s: list[float] = field(default_factory=list)
    import_s: list[float] = field(default_factory=list)
    loaded_bytes: list[int] = field(default_factory=list)
    """Peak memory of a process that has loaded the engine and done nothing."""
    peak_bytes: int = 0
    file_bytes: int = 0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def median_load_s(self) -> float:
        return statistics.median(self.load_s)


def measure_footprints(
    settings: BenchmarkSettings, folders: Mapping[str, Path], request: GenerationRequest
) -> dict[str, Footprint]:
    """Engine name -> footprint, in the order of the settings."""
    footprints = {
        name: Footprint(disk_bytes=folder_bytes(folders[name])) for name in settings.engine_names
    }
    for number in range(settings.rounds + 1):
        for engine in settings.engines:
            label = f"round {number} of {settings.rounds}" if number else "warm-up"
            print(f"{label}: {engine.name}", file=sys.stderr, flush=True)
            with _start(engine, settings, folders) as worker:
                footprint = footprints[engine.name]
                if number:
                    _note_loading(footprint, worker)
                if number == settings.rounds:
                    reply = worker.generate(request)
                    footprint.peak_bytes = reply.peak_rss_bytes
                    footprint.file_bytes = reply.file_bytes
    return footprints


def target_figures(footprints: Mapping[str, Footprint]) -> dict[str, float | None]:
    """The figures that have targets; None where an engine was not measured."""
    ours, peer = footprints.get("pegasus-edge-int8"), footprints.get("ctranslate2-int8")
    return {
        DISK: ours.disk_bytes / MB if ours else None,
        LOAD: ours.median_load_s if ours else None,
        PEAK: ours.peak_bytes / peer.peak_bytes if ours and peer else None,
    }


def format_footprints(footprints: Mapping[str, Footprint]) -> str:
    """One row for each engine; ratios are over the first engine's."""
    first = next(iter(footprints))
    rows = [
        (
            "",
            "import",
            "load",
            f"/ {first}",
            "loaded",
            "peak memory",
            f"/ {first}",
            "of it in files",
            "disk",
            f"/ {first}",
        )
    ]
    base = footprints[first]
    for name, footprint in footprints.items():
        peak_ratio = ratio_to_peer(footprint.peak_bytes, base.peak_bytes)
        rows.append(
            (
                name,
                format_number(statistics.median(footprint.import_s), "s"),
                format_number(footprint.median_load_s, "s"),
                format_number(ratio_to_peer(footprint.median_load_s, base.median_load_s), "x"),
                _megabytes(statistics.median(footprint.loaded_bytes)),
                _megabytes(footprint.peak_bytes),
                format_number(peak_ratio, "x"),
                _megabytes(footprint.file_bytes),
                _megabytes(footprint.disk_bytes),
                format_number(ratio_to_peer(footprint.disk_bytes, base.disk_bytes), "x"),
            )
        )
    return format_columns(rows)


def _start(
    engine: EngineUnderTest, settings: BenchmarkSettings, folders: Mapping[str, Path]
) -> WorkerProcess:
    command = worker_command(engine, folders[engine.name], threads=settings.threads)
    return WorkerProcess(engine.name, command, log=settings.log_dir / f"{engine.name}.log")


def _note_loading(footprint: Footprint, worker: WorkerProcess) -> None:
    footprint.load_s.append(worker.ready.load_s)
    footprint.import_s.append(worker.ready.import_s)
    footprint.loaded_bytes.append(worker.ready.peak_rss_bytes)
    footprint.versions = worker.ready.versions


def _megabytes(size_bytes: float) -> str:
    return f"{size_bytes / MB:.0f} MB"


def run(argv: Sequence[str] | None) -> None:
    parser = benchmark_parser(__doc__, engines=ENGINE_NAMES, rounds=5)
    add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    settings, summary = settings_from_arguments(arguments), summary_from_arguments(arguments)
    folders = prepare_folders(settings)
    request = GenerationRequest(
        sources=random_documents(
            [summary.source_tokens],
            vocabulary=settings.shape.vocabulary,
            seed=settings.shape.seed,
        ),
        beams=summary.beams,
        new_tokens=summary.new_tokens,
    )
    footprints = measure_footprints(settings, folders, request)
    print(format_footprints(footprints))
    verdicts = []
    if settings.targets_apply(summary):
        verdicts = judge(TARGETS, target_figures(footprints))
        print(f"\n{format_verdicts(verdicts)}")
    else:
        print(f"\n{NO_TARGETS}")
    content = {
        "workload": asdict(summary),
        "footprints": {name: asdict(footprint) for name, footprint in footprints.items()},
    }
    write_report(arguments.json, settings, content, verdicts)


if __name__ == "__main__":
    sys.exit(run_benchmark(run))
