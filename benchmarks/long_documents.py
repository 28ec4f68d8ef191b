"""What does the encoder of a BigBirdPegasus cost on long documents, beside its peers, in one run?

One document of 512 to 8192 tokens through an encoder of google/bigbird-pegasus-large's shape (16
layers, d 1024, blocks of 64) with random weights and positions for 8192 tokens; its decoder has one
layer, so that the cross-attention keys, which ours computes in its encoder, hardly count.

- pegasus-edge int8, fp32             block-sparse, as exported
- pegasus-edge int8, full attention   the same weights with attention_type original_full
- transformers fp32, block-sparse     set anew before each document
- Optimum fp32, full attention        Optimum exports full attention, with a warning

Each engine is a process of its own. In the warm-up lengths ascend, so that a process's peak memory
after each is that of this length. Then every round goes through all lengths and engines in turns;
times are medians over the rounds. Full attention stops at --longest-full, as its scores alone take
4 GB of memory at 8192 tokens. With --json, the curves are drawn beside it.

    python benchmarks/long_documents.py --json docs/figures/long_documents.json  # published figures
    python benchmarks/long_documents.py --lengths 512,1024 --layers 2 --rounds 1    # does it work?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness import bench
from harness.engines import ENGINES, Engine
from harness.plots import draw_report
from harness.prepare import prepare_engines
from harness.protocol import Request
from harness.rounds import Job, Timings, measure_rounds, start_workers
from harness.shapes import BIGBIRD, shape_from_arguments, write_checkpoint, write_full_twin
from harness.table import Cell, Column, Table

MIB = 2**20
LENGTHS = (512, 1024, 2048, 4096, 8192)
FULL = "full attention"
PLOT = {
    "title": "Encoder of google/bigbird-pegasus-large's shape",
    "s": "seconds",
    "MiB": "peak memory, MiB",
}
_CPU = ENGINES["cpu"]
LINEUP = {
    engine.name: engine
    for engine in (
        _CPU["pegasus-edge-int8"],
        _CPU["pegasus-edge-fp32"],
        replace(_CPU["pegasus-edge-int8"], variant=FULL),
        replace(_CPU["transformers-fp32"], variant="block-sparse"),
        replace(_CPU["optimum-fp32"], variant=FULL),
    )
}


def plan_jobs(settings: bench.Settings, lengths: Sequence[int], longest_full: int) -> list[Job]:
    """A document of each length, for the engines that can do it."""
    jobs = []
    for tokens in lengths:
        names = [x.name for x in settings.engines if x.variant != FULL or tokens <= longest_full]
        request = Request(sources=settings.documents(tokens), beams=1, new_tokens=0)
        jobs.append(Job(name=str(tokens), request=request, engines=names))
    return jobs


def make_tables(
    engines: Sequence[Engine], lengths: Sequence[int], timings: Timings
) -> dict[str, Table]:
    """Time and peak memory: a row for each length, a column for each engine."""
    times: list[tuple[Cell, ...]] = []
    peaks: list[tuple[Cell, ...]] = []
    for tokens in lengths:
        job, title = str(tokens), f"{tokens:,}"
        warm = timings.warm_peaks.get(job, {})
        times.append((title, *(timings.median_s(job, each.name) for each in engines)))
        found = [warm.get(each.name) for each in engines]
        peaks.append((title, *(None if peak is None else peak / MIB for peak in found)))
    first = Column(title="tokens")
    seconds = [Column(title=each.title, unit="s", digits=2) for each in engines]
    memory = [Column(title=each.title, unit="MiB") for each in engines]
    return {
        "time": Table(columns=(first, *seconds), rows=tuple(times)),
        "memory": Table(columns=(first, *memory), rows=tuple(peaks)),
    }


def prepare(settings: bench.Settings, timings: Timings) -> dict[str, Path]:
    """Engine name -> its folder; ours with full attention is made of a checkpoint that has it."""
    sparse = write_checkpoint(settings.work_dir, settings.shape)
    full = write_full_twin(sparse)
    ours = [each for each in settings.engines if each.is_ours and each.variant == FULL]
    others = [each for each in settings.engines if each not in ours]
    return {
        **prepare_engines(others, sparse, settings.work_dir, timings),
        **prepare_engines(ours, full, settings.work_dir, timings),
    }


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    bench.add_engine_arguments(parser, engines=",".join(LINEUP), rounds=3)
    add = parser.add_argument
    add(
        "--lengths",
        type=bench.parse_numbers,
        default=LENGTHS,
        help="default: 512,1024,2048,4096,8192",
    )
    add("--longest-full", type=int, default=4096, help="of full attention; default: 4096")
    arguments = parser.parse_args(argv)
    shape = shape_from_arguments(arguments, BIGBIRD)
    shape = replace(shape, decoder_layers=1, positions=max(arguments.lengths))
    settings = bench.settings_from_arguments(parser, arguments, shape=shape, known=LINEUP)
    timings = Timings()
    with start_workers(
        settings.engines,
        prepare(settings, timings),
        timings,
        threads=settings.threads,
        log_dir=settings.log_dir,
        encoder_only=True,
    ) as workers:
        jobs = plan_jobs(settings, arguments.lengths, arguments.longest_full)
        measure_rounds(workers, jobs, timings, rounds=settings.rounds)
    tables = make_tables(settings.engines, arguments.lengths, timings)
    bench.report(arguments, tables, settings=settings, timings=timings, plot=PLOT)
    if arguments.json:
        draw_report(arguments.json)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
