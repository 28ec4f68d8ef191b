"""Curves of several engines in panels side by side, as one PNG, drawn from a report's tables."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.table import Table, ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Okabe and Ito's colours, which differ for colour-blind eyes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    label: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Curves over the same x values; where there are two, the second's ratio to the first shows."""

    x_label: str
    x_values: Sequence[int]
    curves: Sequence[Curve]
    y_label: str = "seconds"


def draw_report(path: Path) -> Path:
    """Draws a JSON report that says how: "plot" has a title, and for every unit what it is of.

    Each table is a panel, each of its columns with such a unit a curve over the first column.
    Returns the PNG, beside the report.
    """
    report = json.loads(path.read_text("utf-8"))
    plot, panels = report["plot"], []
    for content in report["tables"].values():
        table = Table.from_json(content)
        drawn = [i for i, column in enumerate(table.columns) if column.unit in plot]
        curves = [
            Curve(label=table.columns[i].title, values=[_number(row[i]) for row in table.rows])
            for i in drawn
        ]
        panel = Panel(
            x_label=table.columns[0].title,
            x_values=[int(str(row[0]).replace(",", "")) for row in table.rows],
            curves=curves,
            y_label=plot[table.columns[drawn[0]].unit],
        )
        panels.append(panel)
    image = path.with_suffix(".png")
    draw_panels(image, panels, title=plot["title"])
    return image


def _number(cell: object) -> float:
    return float(cell) if isinstance(cell, int | float) else math.nan


def draw_panels(path: Path, panels: Sequence[Panel], *, title: str) -> None:
    """Both axes are logarithmic: proportional growth is a line of slope 1."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(5.6 * columns, 4.0 * rows + 0.8), squeeze=False
    )
    for axis, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(axis, panel)
    for axis in axes.flat[len(panels) :]:
        axis.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.945), ncols=3)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout(rect=(0, 0, 1, 0.92), w_pad=2.5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw_panel(axis: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator, NullFormatter

    for index, curve in enumerate(panel.curves):
        axis.plot(
            panel.x_values,
            curve.values,
            label=curve.label,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linewidth=2,
        )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(FixedLocator(list(panel.x_values)))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%d"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.15g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(panel.x_label)
    axis.set_ylabel(panel.y_label)
    axis.grid(visible=True, alpha=0.3)
    axis.margins(y=0.18)
    if len(panel.curves) == 2:
        _write_ratios(axis, panel)


def _write_ratios(axis: Axes, panel: Panel) -> None:
    ours, peer = panel.curves
    for x, our_value, peer_value in zip(panel.x_values, ours.values, peer.values, strict=True):
        times = ratio(peer_value, our_value)
        axis.annotate(
            f"{times:.1f} x",
            (x, max(our_value, peer_value)),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
            fontsize=9,
        )
