"""How many bytes does a decoder step of a plan read, and how many calls does the runtime make?

Counted, not measured: the weights that every step reads, and of the caches what is read with one
length for all of a summary, with a cache that grows (32, 64, 128, ...), and at least, which is what
has been written so far; mean over the steps of a summary as long as the cache. One document, fp16.
The shape is google/pegasus-xsum's with a source of 512 tokens.

    python benchmarks/gpu_step_bytes.py --json docs/figures/gpu_step_bytes.json
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from harness import bench
from harness.table import Cell, Table, columns_of
from pegasus_runtime.sessions.device.shapes import DecoderSizes

ITEM_BYTES = 2
BEAMS = (1, 4, 8)
TIMES = (32, 64, 128, 256)
SOURCE = 512
MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """Its sizes; of every layer, attention to itself and to the source, and two products more."""

    layers: int = 16
    d_model: int = 1024
    ffn_dim: int = 4096
    vocab_size: int = 96103

    @property
    def weight_bytes(self) -> int:
        """Of the matrices. The keys and values of the source are the encoder's to compute."""
        attention = (4 + 2) * self.d_model**2
        layer = attention + 2 * self.d_model * self.ffn_dim
        return (self.layers * layer + self.d_model * self.vocab_size) * ITEM_BYTES

    def cache_bytes(self, positions: float, beams: int = 1) -> float:
        """Keys and values of so many positions, in all layers; of beams side by side."""
        return 2 * self.layers * self.d_model * positions * beams * ITEM_BYTES


def mean_length(times: Sequence[int], steps: int) -> float:
    """Of the cache that a step reads, over so many steps."""
    return sum(next(time for time in times if time > step) for step in range(steps)) / steps


def make_bytes_table(decoder: Decoder) -> Table:
    columns = columns_of(
        "beams, target tokens",
        "weights and source|MB",
        "cache, one length|MB|1",
        "cache that grows|MB|1",
        "written so far|MB|1",
        "step, before / at least||2",
        "step, now / at least||2",
    )
    always = decoder.weight_bytes + decoder.cache_bytes(SOURCE)
    rows: list[tuple[Cell, ...]] = []
    for beams in BEAMS:
        for time in TIMES:
            sizes = DecoderSizes(batch=1, beams=beams, source=SOURCE, time=time)
            lengths = (time, mean_length(sizes.times, time), (time - 1) / 2)
            before, now, least = (decoder.cache_bytes(each, beams) for each in lengths)
            figures = (always, before, now, least)
            bounds = ((always + each) / (always + least) for each in (before, now))
            rows.append((f"{beams}, {time}", *(each / MB for each in figures), *bounds))
    return Table(columns=columns, rows=tuple(rows))


def make_calls_table(decoder: Decoder) -> Table:
    """Of the runtime's calls of CUDA, each of which is a launch or a copy."""
    columns = columns_of("one document of 64 target tokens, recorded", "before", "now")
    copies = 2 * decoder.layers
    growths = len(DecoderSizes(batch=1, beams=8, source=SOURCE, time=64).times) - 1
    rows = (
        ("a step: upload, launch, copy, download", 4, 4),
        ("a summary: copies of a cache that grows", 0, growths),
        ("a document: copies of what the encoder returns", copies, 0),
    )
    return Table(columns=columns, rows=rows)


def run(argv: Sequence[str] | None) -> None:
    arguments = bench.make_parser(__doc__).parse_args(argv)
    decoder = Decoder()
    tables = {"bytes": make_bytes_table(decoder), "calls": make_calls_table(decoder)}
    bench.report(arguments, tables)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
