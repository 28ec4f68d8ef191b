"""Beam search on a Markov chain whose best sequences are known, and its rules one by one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.decoding.candidates import Candidates
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search import beam
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.prefix import row_starts
from pegasus_runtime.search.score import Hypothesis
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState
from runtime.search.markov_engine import (
    EOS,
    MarkovEngine,
    random_chain,
    rank_all_sequences,
)
from runtime.search.oracle import settings_for


def settings_of(vocab_size: int, **options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(**options), vocab_size=vocab_size)


def tokens_of(hypotheses: Sequence[Hypothesis]) -> list[tuple[int, ...]]:
    return [hypothesis.token_ids for hypothesis in hypotheses]


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 0.8, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_the_best_sequences(seed: int, length_penalty: float) -> None:
    log_probs = random_chain(np.random.default_rng(seed), num_kinds=1, vocab_size=4)
    ranked = rank_all_sequences(log_probs[0], max_new_tokens=4, length_penalty=length_penalty)
    settings = settings_of(
        4,
        num_beams=32,
        max_new_tokens=4,
        length_penalty=length_penalty,
        early_stopping="never",
        num_return_sequences=3,
    )
    (found,) = generate(MarkovEngine(log_probs), [[2, EOS]], settings)
    assert tokens_of(found) == [sequence for _, sequence in ranked[:3]]
    scores = [score for score, _ in ranked[:3]]
    np.testing.assert_allclose([hypothesis.score for hypothesis in found], scores, rtol=1e-5)


def test_a_wider_beam_finds_what_a_greedy_search_misses() -> None:
    probabilities = np.full((1, 6, 6), 0.01)
    probabilities[0, 0, [2, 3]] = 0.5, 0.4  # greedy takes 2, which leads nowhere sure
    probabilities[0, 2, [1, 4, 5]] = 0.34, 0.33, 0.3
    probabilities[0, 3, 1] = 0.95
    engine = MarkovEngine(np.log(probabilities).astype(np.float32))
    greedy = generate(engine, [[2, EOS]], settings_of(6, max_length=6))
    beams = generate(engine, [[2, EOS]], settings_of(6, max_length=6, num_beams=2))
    assert tokens_of(greedy[0]) == [(2, 1)]
    assert tokens_of(beams[0]) == [(3, 1)]


@pytest.mark.parametrize("num_beams", [1, 2, 5, 32])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"early_stopping": True},
        {"early_stopping": "never", "length_penalty": 0.5},
        {"no_repeat_ngram_size": 2, "min_length": 4},
        {"repetition_penalty": 1.3, "forced_eos_token_id": EOS},
        {"encoder_no_repeat_ngram_size": 2, "forced_bos_token_id": 3},
        {"bad_words_ids": [[4], [5, 6]], "suppress_tokens": [7], "begin_suppress_tokens": [EOS]},
    ],
)
def test_a_batch_gives_what_its_documents_give_alone(
    num_beams: int, options: dict[str, Any]
) -> None:
    log_probs = random_chain(np.random.default_rng(7), num_kinds=5, vocab_size=20)
    sources = [[2, 9, 4, EOS], [3, EOS], [4, 8, 8, 8, 8, EOS], [5, 2, EOS], [6, 3, 1]]
    settings = settings_of(
        20,
        num_beams=num_beams,
        max_length=12,
        num_return_sequences=min(num_beams, 3),
        **options,
    )
    batch = generate(MarkovEngine(log_probs), sources, settings)
    alone = [generate(MarkovEngine(log_probs), [source], settings)[0] for source in sources]
    assert batch == alone
    assert len({len(found[0].token_ids) for found in alone}) > 1, "no document ended before others"


@pytest.mark.parametrize("num_beams", [2, 8, 32])
def test_the_first_call_has_one_row_per_document_and_later_calls_have_all_of_those_that_are_left(
    num_beams: int,
) -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(0), num_kinds=1, vocab_size=100))
    generate(engine, [[2, EOS], [3, EOS]], settings_of(100, num_beams=num_beams, max_length=5))
    rows = [rows for rows, _, _ in engine.calls]
    assert rows[0] == 2
    assert rows[1] == 2 * num_beams
    assert set(rows[1:]) <= {2 * num_beams, num_beams}
    assert {(wanted, full) for _, wanted, full in engine.calls} == {(2 * num_beams, False)}


def test_the_model_does_not_run_for_a_forced_last_token() -> None:
    chain = random_chain(np.random.default_rng(0), num_kinds=1, vocab_size=30)
    chain[:, :, EOS] = -50
    free, forced = MarkovEngine(chain), MarkovEngine(chain)
    generate(free, [[2, EOS]], settings_of(30, num_beams=2, max_length=6))
    found = generate(
        forced, [[2, EOS]], settings_of(30, num_beams=2, max_length=6, forced_eos_token_id=EOS)
    )
    assert (len(free.calls), len(forced.calls)) == (5, 4)
    assert found[0][0].token_ids[-1] == EOS
    assert len(found[0][0].token_ids) == 5


def test_equal_scores_are_taken_by_beam_and_then_by_token() -> None:
    engine = MarkovEngine(np.full((1, 8, 8), -np.log(8), np.float32))
    settings = settings_of(8, num_beams=3, max_length=3, num_return_sequences=3, min_length=3)
    (found,) = generate(engine, [[2, EOS]], settings)
    assert tokens_of(found) == [(0, 0), (0, 2), (0, 3)]  # 1 is EOS, banned


def first_step(scores: list[float], settings: SearchSettings) -> BeamState:
    ids = np.argsort(-np.array(scores), kind="stable")[None, : settings.num_candidates]
    values = np.array([scores], np.float32)[:, ids[0]]
    state = beam.initial_state(row_starts([[2]], settings), settings)
    ranked = beam.rank_candidates(state, Candidates(scores=values, ids=ids), settings)
    return beam.step(state, ranked, settings)


def test_only_the_best_k_continuations_may_finish() -> None:
    settings = settings_of(6, num_beams=2, max_length=9)
    third = first_step([-9, -3, -1, -2, -9, -9], settings)
    second = first_step([-9, -2, -1, -3, -9, -9], settings)
    assert not third.is_finished.any()
    np.testing.assert_array_equal(second.is_finished, [[True, False]])
    assert second.finished_scores[0, 0] == -2


def test_a_row_that_ends_leaves_its_place_to_the_next() -> None:
    settings = settings_of(6, num_beams=2, max_length=9)
    state = first_step([-9, -1, -2, -3, -4, -9], settings)
    np.testing.assert_array_equal(state.sequences[0, :, 1], [2, 3])
    np.testing.assert_array_equal(state.parents, [[0, 0]])
    tokens, parents = beam.row_inputs(state, settings)
    np.testing.assert_array_equal(tokens, [2, 3])
    assert parents is state.parents


def test_early_stopping_ends_a_document_with_k_finished_rows() -> None:
    chain = np.full((1, 6, 6), -8.0, np.float32)
    chain[0, :, EOS] = -0.7
    chain[0, :, 2] = -0.5  # going on always looks better
    lengths = {}
    for early_stopping in (True, False):
        engine = MarkovEngine(chain)
        settings = settings_of(
            6, num_beams=3, max_length=20, early_stopping=early_stopping, length_penalty=2.0
        )
        generate(engine, [[2, EOS]], settings)
        lengths[early_stopping] = len(engine.calls)
    assert lengths[True] < lengths[False]


def test_fewer_hypotheses_come_back_where_fewer_sequences_are_possible() -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(1), num_kinds=1, vocab_size=6))
    settings = settings_of(
        6,
        num_beams=3,
        num_return_sequences=3,
        max_length=3,
        forced_bos_token_id=4,
        forced_eos_token_id=EOS,
    )
    (found,) = generate(engine, [[2, EOS]], settings)
    assert found == [Hypothesis(token_ids=(4, EOS), score=0.0)]


def test_options_that_leave_no_sequence_are_an_error() -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(1), num_kinds=1, vocab_size=6))
    settings = settings_of(6, num_beams=2, max_length=4, suppress_tokens=range(6))
    message = "a document has no possible summary under these options: ban fewer"
    with pytest.raises(OptionsError, match=message):
        generate(engine, [[2, EOS]], settings)
