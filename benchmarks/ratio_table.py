"""Tables of measurements, and the verdict on targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Target", "Verdict", "format_columns", "format_verdicts", "judge", "ratio_to_peer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A limit for one figure; ``name`` is the figure's, and says what it is of."""

    name: str
    limit: float
    unit: str = "x"
    at_most: bool = False
    """Whether lower is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    target: Target
    got: float | None
    """None where it was not measured."""
    met: bool | None


def ratio_to_peer(peer: float | None, ours: float | None) -> float | None:
    """How many times ours fits into the peer's: above 1, ours is better. None if one is missing."""
    if peer is None or ours is None:
        return None
    return peer / ours


def judge(targets: Sequence[Target], figures: Mapping[str, float | None]) -> list[Verdict]:
    """Holds each target against the figure of its name."""
    verdicts = []
    for target in targets:
        got = figures.get(target.name)
        met = None
        if got is not None:
            met = got <= target.limit if target.at_most else got >= target.limit
        verdicts.append(Verdict(target=target, got=got, met=met))
    return verdicts


def format_verdicts(verdicts: Sequence[Verdict]) -> str:
    """One line for each target."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = [("target", "limit", "got", "")]
    for verdict in verdicts:
        target = verdict.target
        sign = "≤" if target.at_most else "≥"
        rows.append(
            (
                target.name,
                f"{sign} {target.limit:g} {target.unit}",
                format_number(verdict.got, target.unit),
                words[verdict.met],
            )
        )
    return format_columns(rows)


def format_number(value: float | None, unit: str, *, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f} {unit}"


def format_columns(rows: Sequence[Sequence[str]]) -> str:
    """Columns in a line each: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
