"""How close does a decoder step come to what this machine can do?

Two bounds, and the step's share of each (bound / measured step):

- bandwidth: the bytes that a step must read, over the machine's measured memory bandwidth. They
  are the weights that the step's graph uses, as stored; the keys and values of the source, once
  per document; and those of the target so far, per beam (its mean over the measured steps).
- compute: the multiply-adds of a step, over the rate that ONNX Runtime reaches with the same
  kernels on a large product; attention at the rate of fp32. Where a processor has no instructions
  for int8 products (VNNI, AMX), 8 beams make a step compute-bound, and this is the bound to reach.

The larger of the two bounds the step: it can be no faster. Scores of the vocabulary, activations
and the search are in neither, so a share of 100% cannot be reached. The step is measured as in
latency.py: summaries of 64 and of 2 tokens, the difference over 62. The machine's peaks are
measured before and after, and the better counts.

    python benchmarks/roofline.py --json roofline.json                 # the published figures
    python benchmarks/roofline.py --engines pegasus-edge-fp32,pegasus-edge-int4 --batch 1
    python benchmarks/roofline.py --layers 2 --d-model 64 --rounds 1   # does the script work?
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark_arguments import (
    NO_TARGETS,
    BenchmarkSettings,
    add_summary_arguments,
    benchmark_parser,
    parse_numbers,
    prepare_folders,
    run_benchmark,
    settings_from_arguments,
    summary_from_arguments,
)
from benchmark_report import write_report
from decoder_step_cost import MatmulKernel, StepCost, step_cost
from interleaved_rounds import Timings, measure_rounds, start_workers
from latency import SHORT_TOKENS, LatencyRow, Workload, latency_rows, plan_jobs
from machine_peaks import FP32_KERNEL, bytes_per_second, multiply_adds_per_second
from ratio_table import Target, Verdict, format_columns, format_number, format_verdicts, judge

__all__ = ["Bounds", "Peaks", "bounds_of_step"]

TARGET = Target(name="share of the bandwidth bound, pegasus-edge-int8, batch 1", limit=80, unit="%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What the machine can do in a second."""

    read_bytes: float
    multiply_adds: Mapping[MatmulKernel, float]

    def best_with(self, other: Peaks) -> Peaks:
        """The better figure of two measurements of the same things."""
        rates = {
            kernel: max(rate, other.multiply_adds[kernel])
            for kernel, rate in self.multiply_adds.items()
        }
        return Peaks(read_bytes=max(self.read_bytes, other.read_bytes), multiply_adds=rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The least times of a step."""

    bandwidth_s: float
    compute_s: float

    @property
    def larger_s(self) -> float:
        return max(self.bandwidth_s, self.compute_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One engine at one batch size."""

    engine: str
    batch: int
    cost: StepCost
    bounds: Bounds
    step_s: float

    @property
    def bandwidth_percent(self) -> float:
        return 100 * self.bounds.bandwidth_s / self.step_s

    @property
    def compute_percent(self) -> float:
        return 100 * self.bounds.compute_s / self.step_s

    @property
    def larger_percent(self) -> float:
        return 100 * self.bounds.larger_s / self.step_s


def bounds_of_step(cost: StepCost, peaks: Peaks) -> Bounds:
    """Bytes and multiply-adds over the machine's rates for them."""
    products_s = sum(
        count / peaks.multiply_adds[kernel] for kernel, count in cost.weight_multiply_adds.items()
    )
    attention_s = cost.attention_multiply_adds / peaks.multiply_adds[FP32_KERNEL]
    return Bounds(
        bandwidth_s=cost.total_bytes / peaks.read_bytes, compute_s=products_s + attention_s
    )


def mean_target_tokens(new_tokens: int) -> float:
    """Tokens that self-attention reads, on average over the steps after the second.

    The step that makes token n reads n tokens: the start token, and all new ones but n itself.
    """
    return (SHORT_TOKENS + 1 + new_tokens) / 2


def measure_peaks(costs: Sequence[StepCost], threads: int) -> Peaks:
    """Bandwidth, and the rate of every kernel that the steps use."""
    print("measuring the machine's peaks …", file=sys.stderr, flush=True)
    kernels = {FP32_KERNEL, *(kernel for cost in costs for kernel in cost.weight_multiply_adds)}
    return Peaks(
        read_bytes=bytes_per_second(threads),
        multiply_adds={kernel: multiply_adds_per_second(kernel, threads) for kernel in kernels},
    )


def roofline_rows(
    latencies: Sequence[LatencyRow], costs: Mapping[tuple[str, int], StepCost], peaks: Peaks
) -> list[Row]:
    """costs: by engine and batch size."""
    rows = []
    for latency in latencies:
        cost = costs[latency.engine, latency.batch]
        row = Row(
            engine=latency.engine,
            batch=latency.batch,
            cost=cost,
            bounds=bounds_of_step(cost, peaks),
            step_s=latency.step_s,
        )
        rows.append(row)
    return rows


def judge_rows(
    rows: Sequence[Row], settings: BenchmarkSettings, workload: Workload
) -> list[Verdict]:
    """Prints the verdict on the target, where it applies."""
    if not settings.targets_apply(workload.summary):
        print(NO_TARGETS)
        return []
    shares = {
        f"share of the bandwidth bound, {row.engine}, batch {row.batch}": row.bandwidth_percent
        for row in rows
    }
    verdicts = judge([TARGET], shares)
    print(format_verdicts(verdicts))
    return verdicts


def format_peaks(peaks: Peaks) -> str:
    rows = [("the machine's peaks", ""), ("memory read", f"{peaks.read_bytes / 1e9:.1f} GB/s")]
    for kernel, rate in peaks.multiply_adds.items():
        bits = f" of {kernel.bits} bits" if kernel.bits else ""
        name = f"{kernel.op_type}, weights {kernel.weight_type.lower()}{bits}"
        rows.append((name, f"{rate / 1e9:.0f} G multiply-adds/s"))
    return format_columns(rows)


def format_rows(rows: Sequence[Row]) -> str:
    """Bytes in MB, multiply-adds in 10^9, times in ms."""
    headings = ("weights", "source K/V", "target K/V", "multiply-adds", "bandwidth bound")
    shares = ("of bandwidth", "of compute", "of the larger")
    lines: list[tuple[str, ...]] = [("", *headings, "compute bound", "measured", *shares)]
    for row in rows:
        sizes = (row.cost.weight_bytes, row.cost.cross_cache_bytes, row.cost.self_cache_bytes)
        times = (row.bounds.bandwidth_s, row.bounds.compute_s, row.step_s)
        percents = (row.bandwidth_percent, row.compute_percent, row.larger_percent)
        lines.append(
            (
                f"{row.engine}, batch {row.batch}",
                *(f"{size / 1e6:.1f} MB" for size in sizes),
                f"{row.cost.total_multiply_adds / 1e9:.3f} G",
                *(format_number(1000 * seconds, "ms") for seconds in times),
                *(format_number(percent, "%", digits=0) for percent in percents),
            )
        )
    return format_columns(lines)


def describe_row(row: Row) -> dict[str, object]:
    """For the JSON report, whose keys are text."""
    cost = row.cost
    return {
        "engine": row.engine,
        "batch": row.batch,
        "weight_bytes": cost.weight_bytes,
        "cross_cache_bytes": cost.cross_cache_bytes,
        "self_cache_bytes": cost.self_cache_bytes,
        "attention_multiply_adds": cost.attention_multiply_adds,
        "weight_multiply_adds": [
            {**asdict(kernel), "count": count}
            for kernel, count in cost.weight_multiply_adds.items()
        ],
        **asdict(row.bounds),
        "step_s": row.step_s,
        "bandwidth_percent": row.bandwidth_percent,
        "compute_percent": row.compute_percent,
        "larger_percent": row.larger_percent,
    }


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = benchmark_parser(__doc__, engines="pegasus-edge-int8,pegasus-edge-fp32", rounds=5)
    parser.add_argument("--batch", type=parse_numbers, default=(1, 8), help="default: 1,8")
    add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    if not all(engine.is_ours for engine in arguments.engines):
        parser.error("--engines: expected only pegasus-edge-…, whose graphs can be read")
    if arguments.new_tokens <= SHORT_TOKENS:
        parser.error(f"--new-tokens is {arguments.new_tokens}, expected over {SHORT_TOKENS}")
    return arguments


def measure_steps(
    settings: BenchmarkSettings, folders: Mapping[str, Path], workload: Workload
) -> Timings:
    with start_workers(
        settings.engines, folders, threads=settings.threads, log_dir=settings.log_dir
    ) as workers:
        return measure_rounds(workers, plan_jobs(settings, workload), rounds=settings.rounds)


def run(argv: Sequence[str] | None) -> None:
    arguments = parse_arguments(argv)
    settings = settings_from_arguments(arguments)
    workload = Workload(
        summary=summary_from_arguments(arguments),
        batches=arguments.batch,
        batched_engines=settings.engines,
    )
    folders = prepare_folders(settings)
    costs = {
        (name, batch): step_cost(
            folders[name],
            batch=batch,
            beams=workload.summary.beams,
            source_tokens=workload.summary.source_tokens,
            target_tokens=mean_target_tokens(workload.summary.new_tokens),
        )
        for name in settings.engine_names
        for batch in workload.batches
    }
    before = measure_peaks(list(costs.values()), settings.threads)
    timings = measure_steps(settings, folders, workload)
    peaks = before.best_with(measure_peaks(list(costs.values()), settings.threads))
    rows = roofline_rows(latency_rows(timings, workload), costs, peaks)
    print(f"{format_peaks(peaks)}\n\n{format_rows(rows)}\n")
    verdicts = judge_rows(rows, settings, workload)
    content = {
        "workload": asdict(workload),
        "read_bytes_per_s": peaks.read_bytes,
        "kernels": [
            {**asdict(kernel), "multiply_adds_per_s": rate}
            for kernel, rate in peaks.multiply_adds.items()
        ],
        "rows": [describe_row(row) for row in rows],
        "raw_seconds": timings.seconds,
        "other_cores": timings.other_cores,
    }
    write_report(arguments.json, settings, content, verdicts)


if __name__ == "__main__":
    sys.exit(run_benchmark(run))
