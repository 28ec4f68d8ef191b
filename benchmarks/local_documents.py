"""What does the encoder of a PEGASUS-X cost on long documents, beside transformers, in one run?

One document of 1,024 to 16,384 tokens through an encoder of google/pegasus-x-base's shape (12
layers, d 768, blocks of 512, 128 global tokens) with random weights; its decoder has one layer, so
that the cross-attention keys, which ours computes in its encoder, hardly count.

- pegasus-edge int8, fp32   as exported
- transformers fp32         the same attention

Each engine is a process of its own. In the warm-up lengths ascend, so that a process's peak memory
after each is that of this length. Then every round goes through all lengths and engines in turns;
times are medians over the rounds. With --json, the curves are drawn beside it.

    python benchmarks/local_documents.py --json docs/figures/local_documents.json
    python benchmarks/local_documents.py --lengths 512,1024 --layers 2 --rounds 1   # does it work?
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from harness import bench
from harness.engines import ENGINES
from harness.plots import draw_report
from harness.prepare import prepare_engines
from harness.rounds import Timings, measure_rounds, start_workers
from harness.shapes import PEGASUS_X, shape_from_arguments, write_checkpoint
from long_documents import make_tables, plan_jobs

LENGTHS = (1024, 4096, 16384)
PLOT = {
    "title": "Encoder of google/pegasus-x-base's shape",
    "s": "seconds",
    "MiB": "peak memory, MiB",
}
_CPU = ENGINES["cpu"]
LINEUP = {
    name: _CPU[name] for name in ("pegasus-edge-int8", "pegasus-edge-fp32", "transformers-fp32")
}


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    bench.add_engine_arguments(parser, engines=",".join(LINEUP), rounds=3)
    parser.set_defaults(layers=PEGASUS_X.encoder_layers, d_model=PEGASUS_X.d_model)
    usual = ",".join(map(str, LENGTHS))
    parser.add_argument(
        "--lengths", type=bench.parse_numbers, default=LENGTHS, help=f"default: {usual}"
    )
    arguments = parser.parse_args(argv)
    shape = shape_from_arguments(arguments, PEGASUS_X)
    shape = replace(shape, decoder_layers=1, positions=max(arguments.lengths))
    settings = bench.settings_from_arguments(parser, arguments, shape=shape, known=LINEUP)
    timings = Timings()
    checkpoint = write_checkpoint(settings.work_dir, settings.shape)
    with start_workers(
        settings.engines,
        prepare_engines(settings.engines, checkpoint, settings.work_dir, timings),
        timings,
        threads=settings.threads,
        log_dir=settings.log_dir,
        encoder_only=True,
    ) as workers:
        jobs = plan_jobs(settings, arguments.lengths, longest_full=0)
        measure_rounds(workers, jobs, timings, rounds=settings.rounds)
    tables = make_tables(settings.engines, arguments.lengths, timings)
    bench.report(arguments, tables, settings=settings, timings=timings, plot=PLOT)
    if arguments.json:
        draw_report(arguments.json)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
