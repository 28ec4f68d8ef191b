"""The long reports behind bigbird-mini."""

from pathlib import Path

import pytest

from wire_reports import HELD_OUT_SEEDS, Report, generate_long_report
from write_articles import write_long_articles

ARTICLES = Path(__file__).resolve().parents[2] / "examples" / "long_articles"


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [generate_long_report(seed) for seed in HELD_OUT_SEEDS[:200]]


def test_the_same_seed_gives_the_same_report() -> None:
    assert generate_long_report(17) == generate_long_report(17)
    assert generate_long_report(17) != generate_long_report(18)


def test_reports_have_as_many_sentences_as_asked_for(reports: list[Report]) -> None:
    lengths = [len(report.sentences) for report in reports]
    assert 40 <= min(lengths) < 60
    assert 220 < max(lengths) <= 240
    assert len(generate_long_report(3, sentences=(7, 7)).sentences) == 7


def test_every_fact_is_in_the_document_and_in_the_summary(reports: list[Report]) -> None:
    for report in reports:
        for name, value in report.facts:
            assert value.lower() in report.document.lower(), (report.kind, name)
            assert value in report.summary, (report.kind, name)


def test_facts_lie_in_all_parts_of_the_documents(reports: list[Report]) -> None:
    fifths = [0] * 5
    for report in reports:
        for _, value in report.facts:
            place = report.document.lower().find(value.lower()) / len(report.document)
            fifths[int(5 * place)] += 1
    assert min(fifths) > 0.1 * sum(fifths)


@pytest.mark.parametrize("fifth", range(5))
def test_facts_lie_where_they_are_asked_for(fifth: int) -> None:
    """A fact's value may stand elsewhere too, as a distractor; not those of all facts."""
    start, end = fifth / 5, (fifth + 1) / 5
    for seed in HELD_OUT_SEEDS[:40]:
        report = generate_long_report(seed, within=(start, end))
        first, last = int(start * len(report.sentences)), int(end * len(report.sentences))
        part = " ".join(report.sentences[first : last + 1]).lower()
        assert all(value.lower() in part for _, value in report.facts)


def test_the_stored_articles_are_what_the_command_writes(tmp_path: Path) -> None:
    written = write_long_articles(tmp_path)
    assert {path.name for path in written} == {path.name for path in ARTICLES.glob("*.txt")}
    for path in written:
        assert path.read_text() == (ARTICLES / path.name).read_text()
        assert len(path.read_text().split()) > 1000
