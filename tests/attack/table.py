"""What all cases came to, a row a part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attack.outcome import Outcome, Verdict
from harness.table import Cell, Column, Table

__all__ = ["make_table"]

_TITLES = {
    Verdict.CLEAN: "clean errors",
    Verdict.RIGHT: "right results",
    Verdict.OTHER: "legitimately other",
    Verdict.FOREIGN: "foreign graphs",
    Verdict.WRONG: "wrong",
    Verdict.CRASH: "crashes",
    Verdict.HANG: "hangs",
    Verdict.LEFTOVER: "leftovers",
}


def make_table(outcomes: Sequence[Outcome]) -> Table:
    """Verdicts counted."""
    columns = [Column(title=title) for title in ("kind", "cases", *_TITLES.values())]
    parts = dict.fromkeys(each.part for each in outcomes)
    rows: list[tuple[Cell, ...]] = []
    for part in parts:
        counts = Counter(each.verdict for each in outcomes if each.part == part)
        rows.append((part, sum(counts.values()), *(counts[each] for each in _TITLES)))
    return Table(columns=tuple(columns), rows=tuple(rows))
