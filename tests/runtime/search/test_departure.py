"""Who leaves a batch, who moves, and what a state looks like without the others."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.search import beam, sampling
from pegasus_runtime.search.departure import (
    done_documents,
    plan_staying,
    rows_of,
    take_beams,
    take_samples,
)
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.prefix import row_starts
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState, SampleState
from runtime.search.oracle import settings_for

DONE = st.lists(st.booleans(), max_size=20).map(lambda done: np.array(done, np.bool_))


@given(DONE)
def test_exactly_those_that_are_not_done_stay(done: np.ndarray[Any, Any]) -> None:
    staying = plan_staying(done)
    assert staying.dtype == np.int64
    assert sorted(staying.tolist()) == np.flatnonzero(~done).tolist()


@given(DONE)
def test_a_document_moves_only_if_its_place_is_no_more(done: np.ndarray[Any, Any]) -> None:
    staying = plan_staying(done)
    for place, document in enumerate(staying):
        assert document == place or document >= len(staying)


@pytest.mark.parametrize(
    ("done", "staying"),
    [
        ([0, 0, 0], [0, 1, 2]),
        ([0, 0, 1], [0, 1]),
        ([1, 0, 0], [2, 1]),
        ([1, 1, 0, 0, 0], [3, 4, 2]),
        ([1, 1], []),
    ],
)
def test_holes_are_filled_from_the_end(done: list[int], staying: list[int]) -> None:
    assert plan_staying(np.array(done, np.bool_)).tolist() == staying


def settings_of(**options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(max_length=6, **options), vocab_size=20)


def fill(state: Any) -> Any:
    """The state with another value in each entry of each array."""
    rng = np.random.default_rng(0)
    arrays = {}
    for field in fields(state):
        value = getattr(state, field.name)
        if field.name not in ("length", "documents"):
            value = rng.permutation(value.size).reshape(value.shape).astype(value.dtype)
        arrays[field.name] = value
    return type(state)(**arrays)


def initial_samples() -> SampleState:
    """Of three documents with two rows each."""
    settings = settings_of(do_sample=True, num_return_sequences=2)
    return sampling.initial_samples(row_starts([[2]] * 3, settings), settings)


def test_beams_are_taken_with_all_that_is_known_of_their_documents() -> None:
    settings = settings_of(num_beams=3)
    state: BeamState = fill(beam.initial_state(row_starts([[2]] * 4, settings), settings))
    taken = take_beams(state, np.array([3, 1]))
    assert taken.length == state.length
    for field in fields(state):
        if field.name != "length":
            expected = getattr(state, field.name)[[3, 1]]
            np.testing.assert_array_equal(getattr(taken, field.name), expected, field.name)


def test_samples_are_taken_with_all_rows_of_their_documents() -> None:
    state: SampleState = fill(initial_samples())
    taken = take_samples(state, np.array([2, 0]))
    assert taken.length == state.length
    assert taken.documents.tolist() == [2, 0]
    for field in fields(state):
        if field.name not in ("length", "documents"):
            expected = getattr(state, field.name)[[4, 5, 0, 1]]
            np.testing.assert_array_equal(getattr(taken, field.name), expected, field.name)


@pytest.mark.parametrize("take", [take_beams, take_samples])
def test_no_document_leaves_an_empty_state(take: Any) -> None:
    settings = settings_of(num_beams=2 if take is take_beams else 1)
    initial = beam.initial_state if take is take_beams else sampling.initial_samples
    state: Any = initial(row_starts([[2]] * 2, settings), settings)
    taken = take(state, np.array([], np.int64))
    assert len(taken.documents) == 0
    assert len(taken.done) == 0


def test_a_document_has_ended_when_all_its_rows_have() -> None:
    state = initial_samples()
    state.done[[0, 2, 3]] = True
    assert done_documents(state).tolist() == [False, True, False]


def test_the_rows_of_a_document_stand_together() -> None:
    assert rows_of(np.array([2, 0]), 3).tolist() == [6, 7, 8, 0, 1, 2]
    assert rows_of(np.array([2, 0]), 1).tolist() == [2, 0]
