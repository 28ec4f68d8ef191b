"""What all parts came to: one row each."""

from __future__ import annotations

from collections.abc import Sequence

from gpu.setting import Outcome
from harness.table import Column, Table

__all__ = ["make_table"]

SHOWN = 3  # figures in a row; the JSON file has all


def make_table(outcomes: Sequence[Outcome]) -> Table:
    columns = (
        Column(title="part"),
        Column(title="which is"),
        Column(title="seconds", digits=1),
        Column(title="what it says"),
    )
    rows = tuple((x.part, x.verdict, x.seconds, x.said or _figures(x)) for x in outcomes)
    return Table(columns=columns, rows=rows)


def _figures(outcome: Outcome) -> str:
    shown = list(outcome.figures.items())[:SHOWN]
    return ", ".join(f"{name} {_number(value)}" for name, value in shown)


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}" if value % 1 else f"{value:.0f}"
