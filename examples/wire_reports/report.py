"""A wire report from a seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from wire_reports.business import BUSINESS_KINDS
from wire_reports.disasters import DISASTER_KINDS
from wire_reports.event_kind import EventKind
from wire_reports.fillers import FILLERS
from wire_reports.inventory import draw_value
from wire_reports.public_life import PUBLIC_LIFE_KINDS

__all__ = [
    "EVENT_KINDS",
    "HELD_OUT_SEEDS",
    "TRAIN_SEEDS",
    "Report",
    "draw_facts",
    "fill_template",
    "generate_report",
    "write_summary",
]

EVENT_KINDS: tuple[EventKind, ...] = (*DISASTER_KINDS, *BUSINESS_KINDS, *PUBLIC_LIFE_KINDS)

TRAIN_SEEDS = range(10_000_000)
HELD_OUT_SEEDS = range(10_000_000, 10_100_000)

MIN_SENTENCES, MAX_SENTENCES = 5, 25
# Most wire reports are short; the mean is about 12 sentences.
USUAL_SENTENCES = 7

_FRESH_SLOT = re.compile(r"\{any_([a-z]+)(\d*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report: its sentences in order, its summary, and the facts the summary carries.

    A summary of two sentences has a newline between them.
    """

    kind: str
    sentences: tuple[str, ...]
    summary: str
    facts: tuple[tuple[str, str], ...]

    @property
    def document(self) -> str:
        """The sentences, joined by spaces."""
        return " ".join(self.sentences)


def generate_report(seed: int, max_sentences: int = MAX_SENTENCES) -> Report:
    """The report of ``seed``: same seed and ``max_sentences``, same report, on every machine."""
    # Hashing the seed through a string keeps neighbouring seeds unrelated.
    rng = Random(f"wire report {seed}")
    kind = rng.choice(EVENT_KINDS)
    facts = draw_facts(kind, rng)
    longest = min(max(max_sentences, MIN_SENTENCES), MAX_SENTENCES)
    n_sentences = round(
        rng.triangular(MIN_SENTENCES, longest, min(USUAL_SENTENCES, longest)),
    )
    templates = _arrange_templates(kind, n_sentences, rng)
    sentences = tuple(fill_template(template, facts, rng) for template in templates)
    return Report(
        kind=kind.name,
        sentences=sentences,
        summary=write_summary(kind, facts),
        facts=tuple(facts.items()),
    )


def write_summary(kind: EventKind, facts: dict[str, str]) -> str:
    """The summary of an event, a line a sentence."""
    return "\n".join(template.format_map(facts) for template in kind.summary)


def draw_facts(kind: EventKind, rng: Random) -> dict[str, str]:
    """A value for every fact of the kind, all different."""
    facts: dict[str, str] = {}
    for name, value_type in kind.facts.items():
        facts[name] = draw_value(value_type, rng, frozenset(facts.values()))
    return facts


def _arrange_templates(kind: EventKind, n_sentences: int, rng: Random) -> list[str]:
    """The lead, the details in any order, and distractors between them."""
    body = [rng.choice(phrasings) for phrasings in kind.details]
    n_distractors = max(0, n_sentences - 1 - len(body))
    n_asides = min(len(kind.asides), (n_distractors + 1) // 2)
    body += rng.sample(kind.asides, n_asides)
    body += rng.sample(FILLERS, n_distractors - n_asides)
    rng.shuffle(body)
    # One report in five opens with something else than the news.
    lead_position = 0 if rng.random() < 0.8 else rng.randint(1, 2)
    body.insert(lead_position, rng.choice(kind.leads))
    return body


def fill_template(template: str, facts: dict[str, str], rng: Random) -> str:
    """A sentence, its facts in place, and other values that are none of them."""
    fresh: dict[str, str] = {}

    def fresh_value(slot: re.Match[str]) -> str:
        if slot[0] not in fresh:
            taken = frozenset((*facts.values(), *fresh.values()))
            fresh[slot[0]] = draw_value(slot[1], rng, taken)
        return fresh[slot[0]]

    sentence = _FRESH_SLOT.sub(fresh_value, template).format_map(facts)
    return sentence[0].upper() + sentence[1:]
