"""The generator behind the demo checkpoint."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from wire_reports import (
    EVENT_KINDS,
    HELD_OUT_SEEDS,
    TRAIN_SEEDS,
    EventKind,
    Report,
    generate_report,
)
from write_articles import write_articles

ARTICLES = Path(__file__).resolve().parents[2] / "examples" / "articles"


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [generate_report(seed) for seed in HELD_OUT_SEEDS[:1000]]


def test_the_same_seed_gives_the_same_report() -> None:
    assert generate_report(17) == generate_report(17)
    assert generate_report(17) != generate_report(18)


def test_the_report_of_a_seed_does_not_change_between_versions() -> None:
    report = generate_report(HELD_OUT_SEEDS[0])
    assert report.summary == (
        "Westbrook Energy has opened a $400 million factory in Neston that will make electric"
        " buses and employ 870 people."
    )


def test_every_kind_is_reached(reports: list[Report]) -> None:
    assert len(EVENT_KINDS) >= 12
    assert {report.kind for report in reports} == {kind.name for kind in EVENT_KINDS}


def test_reports_have_5_to_25_sentences(reports: list[Report]) -> None:
    lengths = {len(report.sentences) for report in reports}
    assert lengths == set(range(5, 26))
    for report in reports:
        for sentence in report.sentences:
            assert re.fullmatch(r"[A-Z0-9$\"].*[.\"]", sentence), sentence


def test_a_limit_on_the_sentences_is_kept() -> None:
    for seed in range(200):
        assert 5 <= len(generate_report(seed, max_sentences=6).sentences) <= 6


def test_summaries_have_one_or_two_sentences(reports: list[Report]) -> None:
    assert {report.summary.count("\n") + 1 for report in reports} == {1, 2}


def test_every_fact_is_in_the_document_and_in_the_summary(reports: list[Report]) -> None:
    for report in reports:
        for name, value in report.facts:
            assert value.lower() in report.document.lower(), (report.kind, name)
            assert value in report.summary, (report.kind, name)


@pytest.mark.parametrize("kind", EVENT_KINDS, ids=lambda kind: str(kind.name))
def test_whichever_phrasings_are_chosen_every_fact_is_stated(kind: EventKind) -> None:
    stated = set.intersection(*[_slots(lead) for lead in kind.leads])
    for phrasings in kind.details:
        stated |= set.intersection(*[_slots(phrasing) for phrasing in phrasings])
    summarised = set().union(*[_slots(sentence) for sentence in kind.summary])
    assert summarised == set(kind.facts) == stated


def test_the_facts_are_not_all_in_the_first_sentences(reports: list[Report]) -> None:
    late = 0
    for report in reports:
        opening = " ".join(report.sentences[:3])
        late += any(value not in opening for _, value in report.facts)
    assert late > 0.9 * len(reports)


def test_training_and_held_out_seeds_are_disjoint() -> None:
    assert max(TRAIN_SEEDS) < min(HELD_OUT_SEEDS)
    training = {generate_report(seed).document for seed in TRAIN_SEEDS[:300]}
    held_out = {generate_report(seed).document for seed in HELD_OUT_SEEDS[:300]}
    assert not training & held_out


def test_the_stored_articles_are_what_the_command_writes(tmp_path: Path) -> None:
    written = write_articles(tmp_path)
    assert {path.name for path in written} == {path.name for path in ARTICLES.glob("*.txt")}
    for path in written:
        assert path.read_text() == (ARTICLES / path.name).read_text()


def _slots(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}
