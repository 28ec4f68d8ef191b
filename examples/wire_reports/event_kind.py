"""What a kind of event consists of: its facts, the sentences that state them, its summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["EventKind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKind:
    """One kind of event.

    In the templates ``{quake_town}`` is a fact (a key of ``facts``), and ``{any_town}``,
    ``{any_town2}`` ... are fresh values of a value type that differ from every fact.
    The lead and one phrasing of every detail are in each report of this kind, so together
    they have to state every fact of the summary.
    """

    name: str
    facts: Mapping[str, str]  # fact -> value type of wire_reports.inventory
    leads: tuple[str, ...]  # alternatives
    details: tuple[tuple[str, ...], ...]  # each inner tuple holds alternatives for one statement
    asides: tuple[str, ...]  # on the same subject, about other places, people and figures
    summary: tuple[str, ...]  # one or two sentences
