"""How summaries of two precisions are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_export.measure.documents import CalibrationDocument
from pegasus_export.verify.tokens import compare_tokens, edit_distance, rouge_drop

TOKENS = st.lists(st.integers(0, 3), max_size=7).map(tuple)


def _edit_distance_by_definition(source: tuple[int, ...], target: tuple[int, ...]) -> int:
    if not source or not target:
        return len(source) + len(target)
    if source[-1] == target[-1]:
        return _edit_distance_by_definition(source[:-1], target[:-1])
    return 1 + min(
        _edit_distance_by_definition(source[:-1], target),
        _edit_distance_by_definition(source, target[:-1]),
        _edit_distance_by_definition(source[:-1], target[:-1]),
    )


@given(TOKENS, TOKENS)
def test_the_edit_distance_is_that_of_its_definition(
    source: tuple[int, ...], target: tuple[int, ...]
) -> None:
    assert edit_distance(source, target) == _edit_distance_by_definition(source, target)


def test_changes_are_counted_over_all_documents() -> None:
    changes = compare_tokens([(1, 2, 3), (4, 5)], [(1, 2, 3), (4, 6, 5)])
    assert (changes.documents, changes.documents_changed) == (2, 1)
    assert (changes.tokens, changes.tokens_changed) == (5, 1)
    assert changes.rouge_drop is None
    assert (changes.worst_share, changes.changed_by_batch) == (0.5, 0)


def test_a_summary_that_is_another_in_a_batch_is_counted() -> None:
    got, batched = [(1, 2), (4, 5)], [(1, 2), (4, 6)]
    assert compare_tokens([(1, 2), (4, 5)], got, batched=batched).changed_by_batch == 1


class _Words:
    """A tokenizer whose tokens are words."""

    def decode(self, tokens: tuple[int, ...]) -> str:
        return " ".join(["storm", "hits", "north", "coast"][token] for token in tokens)


@pytest.mark.parametrize(("summary", "drop"), [("storm hits north coast", 25.0), (None, 25.0)])
def test_rouge_drops_by_what_is_missing(summary: str | None, drop: float) -> None:
    documents = [CalibrationDocument(text="…", summary=summary)]
    got = rouge_drop(documents, _Words(), [(0, 1, 2, 3)], [(0, 1, 2, 2)])  # type: ignore[arg-type]
    assert got == pytest.approx(drop)


def test_rouge_may_rise_against_a_summary_that_people_wrote() -> None:
    documents = [CalibrationDocument(text="…", summary="storm hits")]
    assert rouge_drop(documents, _Words(), [(2, 3)], [(0, 1)]) == -100  # type: ignore[arg-type]
