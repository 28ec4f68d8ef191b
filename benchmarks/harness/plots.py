"""Curves of several engines in panels side by side, as one PNG, drawn from a report's tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which differ for colour-blind eyes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def draw_report(path: Path) -> Path:
    """Draws a JSON report that says how: "plot" has a title, and for every unit what it is of.

    Each table is a panel, each of its columns with such a unit a curve over the first column; both
    axes are logarithmic: proportional growth is a line of slope 1. Returns the PNG, beside the
    report.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    report = json.loads(path.read_text("utf-8"))
    tables = [Table.from_json(content) for content in report["tables"].values()]
    columns = min(2, len(tables))
    rows = -(-len(tables) // columns)
    size = (5.6 * columns, 4.0 * rows + 0.8)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis, table in zip(axes.flat, tables, strict=False):
        _draw_panel(axis, table, report["plot"])
    for axis in axes.flat[len(tables) :]:
        axis.axis("off")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0.945), ncols=3)
    figure.suptitle(report["plot"]["title"], fontsize=11)
    figure.tight_layout(rect=(0, 0, 1, 0.92), w_pad=2.5)
    image = path.with_suffix(".png")
    figure.savefig(image, dpi=150)
    plt.close(figure)
    return image


def _draw_panel(axis: Axes, table: Table, plot: Mapping[str, str]) -> None:
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator, NullFormatter

    drawn = [i for i, column in enumerate(table.columns) if column.unit in plot]
    x_values = [int(str(row[0]).replace(",", "")) for row in table.rows]
    curves = [[_number(row[i]) for row in table.rows] for i in drawn]
    for index, (i, values) in enumerate(zip(drawn, curves, strict=True)):
        axis.plot(
            x_values,
            values,
            label=table.columns[i].title,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linewidth=2,
        )
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(FixedLocator(x_values))
    axis.xaxis.set_major_formatter(FormatStrFormatter("%d"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.15g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(table.columns[0].title)
    axis.set_ylabel(plot[table.columns[drawn[0]].unit])
    axis.grid(visible=True, alpha=0.3)
    axis.margins(y=0.18)
    if len(curves) == 2:  # the second's ratio to the first
        for x, ours, peer in zip(x_values, *curves, strict=True):
            text, place = f"{peer / ours:.1f} x", (x, max(ours, peer))
            axis.annotate(
                text, place, xytext=(0, 7), textcoords="offset points", ha="center", fontsize=9
            )


def _number(cell: object) -> float:
    return float(cell) if isinstance(cell, int | float) else math.nan
