"""A long wire report from a seed: the same events, their facts anywhere in 40 to 250 sentences."""

from __future__ import annotations

from random import Random

from wire_reports.event_kind import EventKind
from wire_reports.fillers import FILLERS
from wire_reports.report import EVENT_KINDS, Report, draw_facts, fill_template, write_summary

__all__ = ["LONGEST_SENTENCES", "SHORTEST_SENTENCES", "generate_long_report"]

SHORTEST_SENTENCES, LONGEST_SENTENCES = 40, 240
"""About 500 and 3000 tokens."""
ASIDES = 0.3
"""Share of the other sentences that are on the event's own subject."""


def generate_long_report(
    seed: int,
    *,
    sentences: tuple[int, int] = (SHORTEST_SENTENCES, LONGEST_SENTENCES),
    within: tuple[float, float] | None = None,
) -> Report:
    """The long report of ``seed``: same arguments, same report, on every machine.

    sentences: the fewest and the most. within: the part of the document, 0 to 1, that all facts
    lie in; None draws it, so that they may be anywhere, together or apart.
    """
    rng = Random(f"long wire report {seed}")
    kind = rng.choice(EVENT_KINDS)
    facts = draw_facts(kind, rng)
    count = rng.randint(*sentences)
    start, end = _draw_part(rng) if within is None else within
    templates = _arrange_templates(kind, count, start, end, rng)
    return Report(
        kind=kind.name,
        sentences=tuple(fill_template(template, facts, rng) for template in templates),
        summary=write_summary(kind, facts),
        facts=tuple(facts.items()),
    )


def _draw_part(rng: Random) -> tuple[float, float]:
    """All of the document as often as a fifth of it, which may be any."""
    if rng.random() < 0.5:
        return 0.0, 1.0
    start = rng.uniform(0.0, 0.8)
    return start, start + 0.2


def _arrange_templates(
    kind: EventKind, count: int, start: float, end: float, rng: Random
) -> list[str]:
    """What states the facts, in any order, and other sentences around it."""
    telling = [rng.choice(kind.leads), *(rng.choice(phrasings) for phrasings in kind.details)]
    rng.shuffle(telling)
    first = min(int(start * count), count - len(telling))
    last = max(int(end * count), first + len(telling))
    places = sorted(rng.sample(range(first, min(last, count)), len(telling)))
    templates = [
        rng.choice(kind.asides if rng.random() < ASIDES else FILLERS) for _ in range(count)
    ]
    for place, template in zip(places, telling, strict=True):
        templates[place] = template
    return templates
