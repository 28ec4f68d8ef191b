"""Tables of figures: computed once, then shown as text, as Markdown and as JSON.

Only the standard library is used here, so that pages can be rendered anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Cell = str | float | None
"""None was not measured."""
OURS = "pegasus-edge"
"""What the names of our rows begin with; they are bold in Markdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a column's numbers are shown."""

    title: str
    unit: str = ""
    digits: int = 0
    signed: bool = False
    scientific: bool = False

    def show(self, cell: Cell) -> str:
        if cell is None or isinstance(cell, str):
            return cell or ""
        kind = "e" if self.scientific else "f"
        number = f"{cell:{'+' if self.signed else ''},.{self.digits}{kind}}".replace(
            "e-0", "e-"
        ).replace("e+0", "e")
        return f"{number} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; the first of each names it."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"row {row[:1]} has {len(row)} cells, not {len(self.columns)}")

    def cell(self, row: str, column: str) -> Cell:
        """Raises: KeyError naming what there is."""
        position = [each.title for each in self.columns].index(self._known(column, of="column"))
        return next(x[position] for x in self.rows if x[0] == self._known(row, of="row"))

    def shown(self, row: str, column: str) -> str:
        """A cell as it is printed. Raises: KeyError."""
        cell = self.cell(row, column)
        return next(each for each in self.columns if each.title == column).show(cell)

    def text(self) -> str:
        return format_columns([[each.title for each in self.columns], *self._shown_rows()])

    def markdown(self) -> str:
        """Our rows have bold names; a column in which nothing was measured is left out."""
        rows = self._shown_rows()
        kept = [i for i in range(len(self.columns)) if i == 0 or any(row[i] for row in rows)]
        for row in rows:
            if row[0].startswith(OURS):
                row[0] = f"**{row[0]}**"
        lines = [
            [each.title for each in self.columns],
            ["---", *["---:"] * (len(self.columns) - 1)],
            *rows,
        ]
        return "\n".join("| " + " | ".join(line[i] for i in kept) + " |" for line in lines)

    def to_json(self) -> dict[str, Any]:
        return {"columns": [_given(x) for x in self.columns], "rows": [list(x) for x in self.rows]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Table:
        return cls(
            columns=tuple(Column(**each) for each in content["columns"]),
            rows=tuple(tuple(row) for row in content["rows"]),
        )

    def _shown_rows(self) -> list[list[str]]:
        return [
            [column.show(cell) for column, cell in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]

    def _known(self, name: str, *, of: str) -> str:
        known = [str(x[0]) for x in self.rows] if of == "row" else [x.title for x in self.columns]
        if name not in known:
            raise KeyError(f"there is no {of} {name!r}: {', '.join(map(repr, known))}")
        return name


def columns_of(*specs: str) -> tuple[Column, ...]:
    """Of "title", "title|unit" or "title|unit|digits" each."""
    parts = [[*spec.split("|"), "", ""][:3] for spec in specs]
    return tuple(Column(title=x, unit=unit, digits=int(n or 0)) for x, unit, n in parts)


def _given(column: Column) -> dict[str, Any]:
    """What is not left at its default."""
    return {name: value for name, value in asdict(column).items() if value or name == "title"}


def format_columns(rows: Sequence[Sequence[str]]) -> str:
    """Columns in a line each: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def ratio(peer: float | None, ours: float | None) -> float | None:
    """How many times ours fits into the peer's: above 1, ours is better. None if one is missing."""
    return None if peer is None or ours is None else peer / ours
