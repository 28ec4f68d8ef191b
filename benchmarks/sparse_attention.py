"""What does block-sparse attention cost, and which way to compute it is the cheapest?

One layer of google/bigbird-pegasus-large's attention (16 heads of 64, blocks of 64, 3 random
blocks, pattern hf-eval) over one document, without its projections: full attention, what our two
dialects do, and other ways, in ONNX Runtime. The last 40 tokens are padding. The rounds take turns
between the variants; times are medians. All sparse variants must give the same.

    python benchmarks/sparse_attention.py --json sparse_attention.json       # the published figures
    python benchmarks/sparse_attention.py --tokens 1024 --rounds 1           # does the script work?
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime

from attention_variants import VARIANTS, AttentionSize, Variant
from measure import describe_machine
from peers import REPOSITORY
from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.block_sparse_nodes import AttentionInputs, Heads
from pegasus_export.dialects.nodes import Nodes
from ratio_table import Target, format_columns, format_verdicts, judge

__all__ = ["build_variant", "main", "random_feeds", "run_variant"]

TARGETS = (
    Target(name="ort", limit=60, unit="ms", at_most=True),
    Target(name="ort / full", limit=60 / 259, at_most=True),
)
LARGEST_DIFFERENCE = 1e-5
PADDING = 40

Feeds = dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]]


def build_variant(
    variant: Variant, size: AttentionSize, *, threads: int
) -> onnxruntime.InferenceSession:
    """A session that is this attention and nothing else."""
    d_model = size.heads.count * size.heads.dim
    values = {
        name: ir.Value(
            name=name,
            shape=ir.Shape([1, size.tokens, d_model]),
            type=ir.TensorType(ir.DataType.FLOAT),
        )
        for name in ("query", "key", "value")
    }
    values["attention_mask"] = ir.Value(
        name="attention_mask",
        shape=ir.Shape([1, size.tokens]),
        type=ir.TensorType(ir.DataType.INT64),
    )
    nodes = Nodes()
    attended = variant.attend(nodes, AttentionInputs(random_blocks=None, **values), size)
    attended.name, attended.type = "attended", ir.TensorType(ir.DataType.FLOAT)
    graph = nodes.graph("attention", list(values.values()), [attended], variant.opset)
    model = ir.serde.serialize_model(ir.Model(graph, ir_version=10))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def random_feeds(size: AttentionSize) -> Feeds:
    """One document of normally distributed queries, keys and values."""
    rng = np.random.default_rng(0)
    shape = 1, size.tokens, size.heads.count * size.heads.dim
    mask = np.ones((1, size.tokens), np.int64)
    mask[:, -PADDING:] = 0
    hidden = {x: rng.standard_normal(shape, np.float32) for x in ("query", "key", "value")}
    return {**hidden, "attention_mask": mask}


def run_variant(session: onnxruntime.InferenceSession, feeds: Feeds) -> npt.NDArray[np.float32]:
    """[1, S, D] without the padding."""
    (attended,) = session.run(None, feeds)
    return np.asarray(attended[:, :-PADDING])


def measure(
    sessions: dict[str, onnxruntime.InferenceSession], feeds: Feeds, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of every round."""
    times: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(rounds):
        for name, session in sessions.items():
            started = time.perf_counter()
            session.run(None, feeds)
            times[name].append((time.perf_counter() - started) * 1e3)
    return times


def check(sessions: dict[str, onnxruntime.InferenceSession], feeds: Feeds) -> None:
    """Every sparse variant must give what target ort gives; it warms the sessions up as well."""
    outputs = {name: run_variant(session, feeds) for name, session in sessions.items()}
    for name, output in outputs.items():
        difference = float(np.abs(output - outputs["ort"]).max())
        if VARIANTS[name].is_sparse and difference > LARGEST_DIFFERENCE:
            raise SystemExit(f"error: {name} differs from ort by {difference:.1e}")


def main(argv: Sequence[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--tokens", type=int, default=4096, help="a multiple of 64, at least 768; default: 4096")
    add("--rounds", type=int, default=15, help="default: 15")
    add("--threads", type=int, default=2, help="default: 2")
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args(argv)
    if arguments.tokens % 64 or arguments.tokens < 768:
        parser.error(f"--tokens is {arguments.tokens}, expected a multiple of 64 from 768 up")
    pattern = SparsePattern(block_size=64, num_random_blocks=3, longest_full=704)
    size = AttentionSize(tokens=arguments.tokens, heads=Heads(count=16, dim=64), pattern=pattern)
    feeds = random_feeds(size)
    sessions = {
        name: build_variant(variant, size, threads=arguments.threads)
        for name, variant in VARIANTS.items()
    }
    check(sessions, feeds)
    times = measure(sessions, feeds, arguments.rounds)
    medians = {name: statistics.median(row) for name, row in times.items()}
    rows = [("variant", "median, ms", "best, ms", "of full", "")]
    for name, row in times.items():
        share = medians[name] / medians["full"]
        what = VARIANTS[name].what
        rows.append((name, f"{medians[name]:.0f}", f"{min(row):.0f}", f"{share:.2f}", what))
    print(f"{arguments.tokens} tokens\n{format_columns(rows)}\n")
    verdicts = judge(TARGETS, {**medians, "ort / full": medians["ort"] / medians["full"]})
    print(format_verdicts(verdicts))
    if arguments.json:
        content = {
            "machine": describe_machine(REPOSITORY),
            "tokens": arguments.tokens,
            "threads": arguments.threads,
            "milliseconds": times,
            "targets": [asdict(verdict) for verdict in verdicts],
        }
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
