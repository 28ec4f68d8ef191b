"""What does an engine need to be there: time to load, memory, disk; beside the peers, in one run?

Every round starts each engine in a fresh process, in turns; load times are medians over the
rounds, after one unmeasured round that brings the files into the disk cache. Loading is from the
folder to an engine that takes requests; importing packages is counted apart. Peak memory is the
high-water mark of the last round's process after it has summarised one document of 512 tokens in
64, with 8 beams, and then eight of them in one call; "of it in files" is what is mapped from files
after the one, which the system can take back. The folder is the one that the engine loads. As in
latency.py, some peers are given one document only.

    python benchmarks/memory.py --json docs/figures/memory.json        # the published figures
    python benchmarks/memory.py --engines pegasus-edge-int8,ctranslate2-int8
    python benchmarks/memory.py --layers 2 --d-model 64 --rounds 2     # does the script work?
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness import bench
from harness.engines import BATCHED, ENGINES, USUAL_ON_CPU, worker_command
from harness.measure_command import folder_bytes
from harness.prepare import prepare_engines
from harness.protocol import Ready, Reply, Request
from harness.rounds import Timings
from harness.shapes import write_checkpoint
from harness.table import Table, columns_of
from harness.worker_process import WorkerProcess

MB = 1e6
COLUMNS = columns_of(
    *("load, and one document", "folder|MB", "load|s|2", "peak memory|MB", "eight documents|MB"),
    *("of it in files|MB", "loaded, at rest|MB", "import|s|2"),
)


@dataclass(slots=True, kw_only=True)
class Footprint:
    """What one engine takes."""

    disk_bytes: int
    starts: list[Ready] = field(default_factory=list)
    """Of every round."""
    reply: Reply | None = None
    """Of the last, to one document."""
    batch_peak_bytes: int | None = None
    """After eight more, of engines that are given them."""


def make_table(footprints: Mapping[str, Footprint]) -> Table:
    """A row for each engine, by its name."""
    rows = []
    for name, found in footprints.items():
        load_s, import_s, loaded_bytes = (
            statistics.median(getattr(each, figure) for each in found.starts)
            for figure in ("load_s", "import_s", "peak_rss_bytes")
        )
        assert found.reply is not None
        batch = None if found.batch_peak_bytes is None else found.batch_peak_bytes / MB
        peaks = (found.reply.peak_rss_bytes / MB, batch, found.reply.file_bytes / MB)
        name = ENGINES["cpu"][name].title
        rows.append((name, found.disk_bytes / MB, load_s, *peaks, loaded_bytes / MB, import_s))
    return Table(columns=COLUMNS, rows=tuple(rows))


def eight_of(request: Request) -> Request:
    """The same work for eight documents at once."""
    return replace(request, sources=list(request.sources) * 8)


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
            with WorkerProcess(
                engine.name, command, log=log, environment=engine.environment
            ) as worker:
                if number:
                    footprints[engine.name].starts.append(worker.ready)
                if number == settings.rounds:
                    footprints[engine.name].reply = worker.generate(request)
                    if engine.family in BATCHED:
                        reply = worker.generate(eight_of(request))
                        footprints[engine.name].batch_peak_bytes = reply.peak_rss_bytes
    return footprints


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    bench.add_engine_arguments(parser, engines=USUAL_ON_CPU, rounds=5)
    bench.add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    settings = bench.settings_from_arguments(parser, arguments)
    work = settings.work
    timings, checkpoint = Timings(), write_checkpoint(settings.work_dir, settings.shape)
    folders = prepare_engines(settings.engines, checkpoint, settings.work_dir, timings)
    sources = settings.documents(work.source_tokens)
    request = Request(sources=sources, beams=work.beams, new_tokens=work.new_tokens)
    found = measure_footprints(settings, folders, request)
    starts = {name: [asdict(ready) for ready in each.starts] for name, each in found.items()}
    tables = {"memory": make_table(found)}
    bench.report(arguments, tables, settings=settings, timings=timings, starts=starts)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
