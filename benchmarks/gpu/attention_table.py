"""What the block-sparse benchmark makes of its times: rows, the table, verdicts, the plot."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from curve_panels import Curve, Panel, draw_panels
from gpu.attention_engines import DENSE, ENGINES, OURS, TRANSFORMERS
from gpu.attention_work import AttentionShape, AttentionWork, Peaks, count_work, least_s
from gpu.latency_table import percentile
from gpu.plugin_harness import PLUGIN
from pegasus_plugins.specification import AttentionSpec
from ratio_table import Target, Verdict, format_columns, format_number, judge, ratio_to_peer

__all__ = ["SparseRow", "draw_rows", "format_rows", "judge_rows", "make_row"]

FAR = 16384
NEAR = 4096
GOAL_NEAR = f"batch 1, {NEAR} tokens: {DENSE} / {OURS}"
GOAL_FAR = f"batch 1, {FAR} tokens: {DENSE} / {OURS}"
GOAL_ROOFLINE = f"least of the roofline from {NEAR} tokens on"
TARGETS = (
    Target(name=GOAL_NEAR, limit=3.0),
    Target(name=GOAL_FAR, limit=10.0),
    Target(name=GOAL_ROOFLINE, limit=60.0, unit="%"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseRow:
    """One batch of documents of one length."""

    batch: int
    tokens: int
    median_ms: Mapping[str, float]
    """engine -> of those that were measured."""
    p95_ms: Mapping[str, float]
    missing: Mapping[str, str]
    """engine -> why it was not."""
    work: AttentionWork
    least_ms: float
    """What the tighter of the two rooflines allows."""
    bound: str
    """Which that is: "memory" or "products"."""

    @property
    def roofline_percent(self) -> float | None:
        ours = self.median_ms.get(OURS)
        return None if ours is None else 100 * self.least_ms / ours

    def ratio(self, peer: str) -> float | None:
        """How many times faster ours is."""
        return ratio_to_peer(self.median_ms.get(peer), self.median_ms.get(OURS))


def make_row(
    spec: AttentionSpec,
    shape: AttentionShape,
    times_ms: Mapping[str, Sequence[float]],
    missing: Mapping[str, str],
    peaks: Peaks,
) -> SparseRow:
    """times_ms: engine -> of every round."""
    work = count_work(spec, shape)
    seconds, bound = least_s(work, peaks)
    return SparseRow(
        batch=shape.batch,
        tokens=shape.length,
        median_ms={name: statistics.median(values) for name, values in times_ms.items()},
        p95_ms={name: percentile(values, 95) for name, values in times_ms.items()},
        missing=missing,
        work=work,
        least_ms=1e3 * seconds,
        bound=bound,
    )


def format_rows(rows: Sequence[SparseRow]) -> str:
    """A line for each, and below, what was not measured and why."""
    engines = [*ENGINES, *([PLUGIN] if any(PLUGIN in row.median_ms for row in rows) else [])]
    header = ["milliseconds"]
    for name in engines:
        header += [name] if name == PLUGIN else [name, "p95"]
    header += [f"x {DENSE}", f"x {TRANSFORMERS}", "MB", "GFLOP", "roofline", "of it"]
    lines: list[Sequence[str]] = [header]
    for row in rows:
        cells = [f"batch {row.batch}, {row.tokens} tokens"]
        for name in engines:
            cells.append(_milliseconds(row.median_ms.get(name)))
            if name != PLUGIN:
                cells.append(_milliseconds(row.p95_ms.get(name)))
        cells += [format_number(row.ratio(peer), "x", digits=1) for peer in (DENSE, TRANSFORMERS)]
        cells += [f"{row.work.num_bytes / 1e6:.1f}", f"{row.work.operations / 1e9:.1f}"]
        cells += [f"{row.least_ms:.4f} ({row.bound})"]
        cells += [format_number(row.roofline_percent, "%", digits=0)]
        lines.append(cells)
    reasons = [
        f"not measured: batch {row.batch}, {row.tokens} tokens: {name}: {reason}"
        for row in rows
        for name, reason in row.missing.items()
    ]
    return "\n".join([format_columns(lines), *reasons])


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def judge_rows(rows: Sequence[SparseRow]) -> list[Verdict]:
    """The goals, which are for the published shape in fp16."""
    figures: dict[str, float | None] = {}
    for row in rows:
        if row.batch == 1 and row.tokens in (NEAR, FAR):
            figures[GOAL_NEAR if row.tokens == NEAR else GOAL_FAR] = row.ratio(DENSE)
    shares = [row.roofline_percent for row in rows if row.tokens >= NEAR]
    measured = [share for share in shares if share is not None]
    figures[GOAL_ROOFLINE] = min(measured, default=None)
    return judge(TARGETS, figures)


def draw_rows(path: Path, rows: Sequence[SparseRow], *, title: str) -> None:
    """Time over length, a panel for each batch size and a line for each engine."""
    names = [name for name in (*ENGINES, PLUGIN) if any(name in each.median_ms for each in rows)]
    panels = []
    for batch in sorted({row.batch for row in rows}):
        found = [row for row in rows if row.batch == batch]
        curves = [
            Curve(label=name, values=[row.median_ms.get(name, math.nan) for row in found])
            for name in names
        ]
        curves.append(Curve(label="roofline of ours", values=[row.least_ms for row in found]))
        panel = Panel(
            x_label=f"tokens (batch {batch})",
            x_values=[row.tokens for row in found],
            curves=curves,
            y_label="milliseconds",
        )
        panels.append(panel)
    draw_panels(path, panels, title=title)
