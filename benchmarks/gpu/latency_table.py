"""What the GPU benchmark makes of its times: rows, the table, and the verdict on the goal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark_arguments import SummaryWork
from gpu.engines import GpuEngine
from gpu.step_bytes import step_bytes
from ratio_table import Target, Verdict, format_columns, format_number, judge
from xsum_shape import PegasusShape

__all__ = [
    "GpuRow",
    "RowInputs",
    "agreeing_tokens",
    "format_rows",
    "judge_rows",
    "latency_rows",
    "percentile",
]

BASELINE = "transformers-fp16"
GOAL_MS = 60.0
GOAL_X = 8.0
GOAL_MS_NAME = "batch 1: ms per document (on a GPU of the H200's class)"
GOAL_X_NAME = f"batch 1: {BASELINE} / ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInputs:
    """What was measured of one engine at one batch size."""

    engine: GpuEngine
    batch: int
    long_s: Sequence[float]
    """Every round's."""
    short_s: float
    """The median's."""
    tokens: Sequence[Sequence[int]]
    expected: Sequence[Sequence[int]] | None
    """None where there is no reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRow:
    """One engine at one batch size."""

    engine: str
    is_ours: bool
    batch: int
    document_ms: float
    document_p95_ms: float
    step_ms: float
    step_bytes: float
    bandwidth_percent: float
    baseline_x: float | None
    """How many times faster than transformers in fp16."""
    tokens_agreeing: int | None
    tokens_compared: int


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(1, int(rank)) - 1]


def agreeing_tokens(
    tokens: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]
) -> tuple[int, int]:
    """How many are the same, place by place, and of how many; without each document's last."""
    pairs = [
        pair
        for row, other in zip(tokens, expected, strict=True)
        for pair in zip(row[:-1], other[:-1], strict=True)
    ]
    return sum(got == wanted for got, wanted in pairs), len(pairs)


def latency_rows(
    inputs: Sequence[RowInputs],
    *,
    shape: PegasusShape,
    work: SummaryWork,
    short_tokens: int,
    bytes_per_s: float,
) -> list[GpuRow]:
    """short_tokens: of the short summaries, whose time is taken off to get at a step."""
    baselines = {
        each.batch: statistics.median(each.long_s)
        for each in inputs
        if each.engine.name == BASELINE
    }
    rows = []
    for each in inputs:
        total_s = statistics.median(each.long_s)
        step_s = (total_s - each.short_s) / (work.new_tokens - short_tokens)
        needed = step_bytes(
            shape,
            each.engine.storage,
            batch=each.batch,
            beams=work.beams,
            source_tokens=work.source_tokens,
            target_tokens=(short_tokens + 1 + work.new_tokens) / 2,  # mean of the steps between
        )
        agreeing, compared = None, 0
        if each.expected is not None:
            agreeing, compared = agreeing_tokens(each.tokens, each.expected)
        baseline_s = baselines.get(each.batch)
        rows.append(
            GpuRow(
                engine=each.engine.name,
                is_ours=each.engine.is_ours,
                batch=each.batch,
                document_ms=1000 * total_s / each.batch,
                document_p95_ms=1000 * percentile(each.long_s, 95) / each.batch,
                step_ms=1000 * step_s,
                step_bytes=needed.total,
                bandwidth_percent=100 * needed.total / bytes_per_s / step_s,
                baseline_x=None if baseline_s is None else baseline_s / total_s,
                tokens_agreeing=agreeing,
                tokens_compared=compared,
            )
        )
    return rows


def format_rows(rows: Sequence[GpuRow], missing: Mapping[str, str]) -> str:
    """One table for all batch sizes; the engines without figures and why, below."""
    header = (
        "",
        "ms per document",
        "p95",
        "per step",
        "must read",
        "of bandwidth",
        f"x {BASELINE}",
        "tokens agree",
    )
    lines: list[tuple[str, ...]] = [header]
    for row in rows:
        agreeing = "" if row.tokens_agreeing is None else f"{row.tokens_agreeing}"
        lines.append(
            (
                f"batch {row.batch}, {row.engine}",
                f"{row.document_ms:.1f}",
                f"{row.document_p95_ms:.1f}",
                f"{row.step_ms:.2f} ms",
                f"{row.step_bytes / 1e6:.0f} MB",
                f"{row.bandwidth_percent:.0f} %",
                format_number(row.baseline_x, "x"),
                f"{agreeing} of {row.tokens_compared}" if agreeing else "no reference",
            )
        )
    reasons = [f"not measured: {name}: {reason}" for name, reason in missing.items()]
    return "\n".join([format_columns(lines), *reasons])


def judge_rows(rows: Sequence[GpuRow]) -> list[Verdict]:
    """The goal, for the fastest of ours in fp16 that was measured with one document."""
    ours = [row for row in rows if row.is_ours and row.batch == 1 and row.engine.endswith("-fp16")]
    best = min(ours, key=lambda row: row.document_ms, default=None)
    figures = {
        GOAL_MS_NAME: None if best is None else best.document_ms,
        GOAL_X_NAME: None if best is None else best.baseline_x,
    }
    targets = (
        Target(name=GOAL_MS_NAME, limit=GOAL_MS, unit="ms", at_most=True),
        Target(name=GOAL_X_NAME, limit=GOAL_X),
    )
    return judge(targets, figures)
