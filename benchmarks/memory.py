"""What does an engine need to be there: time to load, memory, disk; beside the peers, in one run?

Every round starts each engine in a fresh process, in turns; load times are medians over the
rounds, after one unmeasured round that brings the files into the disk cache. Loading is from the
folder to an engine that takes requests; importing packages is counted apart. Peak memory is the
high-water mark of the process after the last round's process has summarised one document of 512
tokens in 64, with 8 beams; "of it in files" is what is mapped from files then, which the system
can take back. The folder is the one that the engine loads.

    python benchmarks/memory.py --json docs/figures/memory.json        # the published figures
    python benchmarks/memory.py --engines pegasus-edge-int8,ctranslate2-int8
    python benchmarks/memory.py --layers 2 --d-model 64 --rounds 2     # does the script work?
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness import bench
from harness.documents import random_documents
from harness.engines import ENGINES, worker_command
from harness.measure_command import folder_bytes
from harness.prepare import prepare_engines
from harness.protocol import Ready, Reply, Request
from harness.rounds import Timings
from harness.shapes import write_checkpoint
from harness.table import Column, Table
from harness.worker_process import WorkerProcess

MB = 1e6
COLUMNS = (
    Column(title="load, and one document"),
    Column(title="folder", unit="MB"),
    Column(title="load", unit="s", digits=2),
    Column(title="peak memory", unit="MB"),
    Column(title="of it in files", unit="MB"),
    Column(title="loaded, at rest", unit="MB"),
    Column(title="import", unit="s", digits=2),
)


@dataclass(slots=True, kw_only=True)
class Footprint:
    """What one engine takes."""

    disk_bytes: int
    starts: list[Ready] = field(default_factory=list)
    """Of every round."""
    reply: Reply | None = None
    """Of the last."""


def make_table(footprints: Mapping[str, Footprint]) -> Table:
    """A row for each engine, by its name."""
    rows = []
    for name, found in footprints.items():
        reply = found.reply
        rows.append(
            (
                ENGINES["cpu"][name].title,
                found.disk_bytes / MB,
                statistics.median(each.load_s for each in found.starts),
                reply.peak_rss_bytes / MB if reply else None,
                reply.file_bytes / MB if reply else None,
                statistics.median(each.peak_rss_bytes for each in found.starts) / MB,
                statistics.median(each.import_s for each in found.starts),
            )
        )
    return Table(columns=COLUMNS, rows=tuple(rows))


def measure_footprints(
    settings: bench.Settings, folders: Mapping[str, Path], request: Request
) -> dict[str, Footprint]:
    """Engine name -> footprint, in the order of the settings."""
    engines = [engine for engine in settings.engines if engine.name in folders]
    footprints = {
        each.name: Footprint(disk_bytes=folder_bytes(folders[each.name])) for each in engines
    }
    for number in range(settings.rounds + 1):
        for engine in engines:
            label = f"round {number} of {settings.rounds}" if number else "warm-up"
            print(f"{label}: {engine.name}", file=sys.stderr, flush=True)
            command = worker_command(engine, folders[engine.name], threads=settings.threads)
            log = settings.log_dir / f"{engine.name}.log"
            with WorkerProcess(engine.name, command, log=log) as worker:
                if number:
                    footprints[engine.name].starts.append(worker.ready)
                if number == settings.rounds:
                    footprints[engine.name].reply = worker.generate(request)
    return footprints


def run(argv: Sequence[str] | None) -> None:
    names = ",".join(name for name in ENGINES["cpu"] if name != "pegasus-edge-int4")
    parser = bench.make_parser(__doc__)
    bench.add_engine_arguments(parser, engines=names, rounds=5)
    bench.add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    settings = bench.settings_from_arguments(parser, arguments)
    work = bench.summary_from_arguments(arguments)
    timings, shape = Timings(), settings.shape
    checkpoint = write_checkpoint(settings.work_dir, shape)
    folders = prepare_engines(settings.engines, checkpoint, settings.work_dir, timings)
    sources = random_documents([work.source_tokens], vocabulary=shape.vocabulary, seed=shape.seed)
    request = Request(sources=sources, beams=work.beams, new_tokens=work.new_tokens)
    footprints = measure_footprints(settings, folders, request)
    figures = {**bench.describe_timings(settings, timings), "footprints": footprints}
    tables = {"memory": make_table(footprints)}
    bench.report(arguments, __doc__, tables, figures=figures, missing=timings.missing)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
