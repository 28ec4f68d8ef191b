"""How fast is each kernel for CPUs beside ONNX Runtime's own operators, alone and at real shapes?

Every operator is one node of a graph, in the very function that bundles have for it: once with the
kernels registered, once without. Shapes are those of google/pegasus-large with 8 beams, one and
eight documents of 512 tokens; of BigBird's attention, one layer of google/bigbird-pegasus-large at
4096 tokens. Results are compared before anything is timed. Both spellings take turns in a process
for each set of instructions that there is a kernel for; times are medians, of caches that were
emptied before. ONNX Runtime's own operators always use all instructions that the processor has.

Full attention is what block-sparse attention is a share of. An operator without a ratio has no
kernel for these instructions.

    python benchmarks/cpu_kernels.py --json docs/figures/cpu_kernels.json    # as published (5 min)
    python benchmarks/cpu_kernels.py --only SourceAttention --seconds 1
    python benchmarks/cpu_kernels.py --tiny                                  # does it work?
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import bench
from harness.kernel_cases import BLOCK_SPARSE, FULL, MAY_ROUND
from harness.machine import REPOSITORY
from harness.table import Cell, Column, Table, ratio
from harness.workers.kernel_worker import KernelSettings
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.kernels import Kernels, look_for_kernels

WORKER = "harness.workers.kernel_worker"
SETS = {
    "avx512bf16": ("avx512bf16", "avx512", "avx2"),
    "avx512": ("avx512", "avx2"),
    "avx2": ("avx2",),
    "neon": ("neon",),
}
"""The best that a processor has -> those that are measured on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTimes:
    """Of one set of instructions."""

    instructions: str
    times: Mapping[str, Mapping[str, Sequence[float]]]
    """case -> "stock" or "ours" -> milliseconds of every round"""

    def median_ms(self, case: str, spelling: str) -> float | None:
        values = self.times.get(case, {}).get(spelling)
        return statistics.median(values) if values else None


def make_tables(found: Sequence[KernelTimes]) -> dict[str, Table]:
    """A row for each operator and shape; and what block-sparse attention saves."""
    first = found[0]
    columns = [Column(title="operator, shape"), Column(title="stock", unit="ms", digits=3)]
    for each in found:
        columns.append(Column(title=each.instructions, unit="ms", digits=3))
        columns.append(Column(title=f"stock / {each.instructions}", digits=2))
    rows: list[tuple[Cell, ...]] = []
    for case in first.times:
        row: list[Cell] = [case, first.median_ms(case, "stock")]
        for each in found:
            ours = each.median_ms(case, "ours")
            row += [ours, ratio(each.median_ms(case, "stock"), ours)]
        rows.append(tuple(row))
    tables = {"cpu_kernels": Table(columns=tuple(columns), rows=tuple(rows))}
    if shares := _share_rows(found):
        titles = ("block-sparse attention", "of stock full attention", "of our full attention")
        share = [Column(title=titles[0]), *(Column(title=x, digits=3) for x in titles[1:])]
        tables["sparse_share"] = Table(columns=tuple(share), rows=tuple(shares))
    return tables


def _share_rows(found: Sequence[KernelTimes]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for each in found:
        for sparse in [name for name in each.times if name.startswith(BLOCK_SPARSE)]:
            full = FULL + sparse.removeprefix(BLOCK_SPARSE)
            if full not in each.times:
                continue
            stock = each.median_ms(full, "stock")
            rounded = MAY_ROUND if sparse.endswith(MAY_ROUND) else ""
            for spelling, title in (("stock", "stock"), ("ours", each.instructions)):
                if (own := each.median_ms(sparse, spelling)) is not None:
                    shares = [ratio(own, x) for x in (stock, each.median_ms(full, "ours"))]
                    rows.append((f"{title}, beside {each.instructions}{rounded}", *shares))
    return rows


def measure_set(instructions: str, settings: KernelSettings) -> KernelTimes:
    """In a process of its own, as a process chooses its kernels once. Raises: EngineError."""
    done = subprocess.run(
        [sys.executable, "-m", WORKER],
        input=settings.to_line(),
        stdout=subprocess.PIPE,
        cwd=REPOSITORY / "benchmarks",
        env={**os.environ, "PEGASUS_EDGE_INSTRUCTIONS": instructions},
        text=True,
        check=False,
    )
    if done.returncode:
        raise EngineError(f"{instructions}: the worker ended with exit status {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if f"({instructions})" not in answer["engine"]:
        raise EngineError(f"asked for {instructions}, but {answer['engine']} ran")
    return KernelTimes(instructions=instructions, times=answer["times"])


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--threads", type=int, default=bench.THREADS, help="default: %(default)s")
    add("--seconds", type=float, default=3.0, help="for each operator; default: %(default)s")
    add("--rounds", type=int, default=200, help="at most; default: %(default)s")
    add("--only", default="", metavar="TEXT", help="operators whose name and shape contain TEXT")
    add("--tiny", action="store_true", help="shapes that take no time")
    arguments = parser.parse_args(argv)
    for name in ("threads", "rounds"):
        if (value := getattr(arguments, name)) < 1:
            parser.error(f"--{name} is {value}, expected 1 or more")
    settings = KernelSettings(
        threads=arguments.threads,
        seconds=arguments.seconds,
        most_rounds=arguments.rounds,
        is_tiny=arguments.tiny,
        only=arguments.only,
    )
    if not settings.cases():
        parser.error(f"--only is {arguments.only!r}, expected a part of an operator's name")
    kernels = look_for_kernels()
    if not isinstance(kernels, Kernels):
        raise EngineError(
            f"there are no kernels to measure: {kernels}; pip install 'pegasus-edge[fast]'"
        )
    found = [measure_set(name, settings) for name in SETS[kernels.instructions]]
    bench.report(arguments, make_tables(found), engine=f"kernels {kernels.version}")


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
