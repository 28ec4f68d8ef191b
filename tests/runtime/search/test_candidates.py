"""The few best candidates of the engine give what all of the vocabulary gives."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pegasus_runtime.decoding.candidates import Candidates, order_selected, select_top
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import EngineError
from pegasus_runtime.search.candidates import StepPlan, plan_step, process_scores, top_candidates
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.sources import index_source
from runtime.search.markov_engine import scores_from_log_probs
from runtime.search.oracle import random_options, settings_for

VOCAB_SIZE = 60


def settings_of(vocab_size: int = VOCAB_SIZE, **options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(**options), vocab_size=vocab_size)


def scores_with_ties(rng: np.random.Generator, rows: int) -> npt.NDArray[np.float32]:
    """Few distinct values, some of them -inf."""
    scores = (rng.integers(-40, 0, (rows, VOCAB_SIZE)) / 8).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    return scores


def plan_of(history: npt.NDArray[np.int64], settings: SearchSettings) -> StepPlan:
    return plan_step(history, [index_source([2, 1], settings)], settings)


def assert_same(ours: Candidates, expected: Candidates) -> None:
    np.testing.assert_array_equal(ours.scores, expected.scores)
    np.testing.assert_array_equal(ours.ids, expected.ids)


@pytest.mark.parametrize("count", [1, 2, 7, VOCAB_SIZE])
def test_the_top_is_that_of_a_stable_sort_with_ties_and_minus_infinity(count: int) -> None:
    for seed in range(20):
        scores = scores_with_ties(np.random.default_rng(seed), 5)
        ids = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        expected = Candidates(scores=np.take_along_axis(scores, ids, axis=1), ids=ids)
        assert_same(select_top(scores, count), expected)


@pytest.mark.parametrize("count", [1, 16, 24])
@pytest.mark.parametrize("vocab_size", [2047, 3072, 3199])  # of 15, 24 and 24 groups of 128
def test_the_top_of_many_tokens_is_that_of_a_stable_sort(vocab_size: int, count: int) -> None:
    rng = np.random.default_rng(vocab_size)
    scores = (rng.integers(-400, 0, (6, vocab_size)) / 8).astype(np.float32)
    scores[1, rng.random(vocab_size) < 0.99] = -np.inf
    scores[2] = -np.inf
    scores[3, -40:] = 1  # the best are neighbours, and in no group
    scores[4, 5 :: vocab_size // 128] = 1  # or all in one
    scores[5, ::7] = np.nan  # which is never among the best
    ids = np.argsort(np.where(np.isnan(scores), np.inf, -scores), axis=1, kind="stable")[:, :count]
    expected = Candidates(scores=np.take_along_axis(scores, ids, axis=1), ids=ids)
    assert_same(select_top(scores, count), expected)


def test_what_was_selected_in_any_order_of_ties_is_put_in_order_or_is_not_enough() -> None:
    rng = np.random.default_rng(5)
    told = 0
    for _ in range(200):
        scores = scores_with_ties(rng, rows=2)
        jitter = rng.permutation(VOCAB_SIZE)  # the order that a device gives equal scores
        selected = np.stack([np.lexsort((jitter, -row))[:9] for row in scores])
        found = order_selected(np.take_along_axis(scores, selected, axis=1), selected, 5)
        if found is not None:
            told += 1
            assert_same(found, select_top(scores, 5))
    assert 20 < told < 200


@pytest.mark.parametrize("seed", range(150))
def test_few_candidates_give_what_all_scores_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = replace(random_options(rng, VOCAB_SIZE), repetition_penalty=None)
    settings = settings_for(options, vocab_size=VOCAB_SIZE)
    history = rng.integers(0, 6, (4, int(rng.integers(1, settings.max_length))))
    source = index_source(rng.integers(0, 6, 9).tolist(), settings)
    log_probs = scores_with_ties(rng, 4)
    plan = plan_step(history, [source], settings)
    wanted = min(settings.num_candidates, VOCAB_SIZE)
    expected = select_top(process_scores(log_probs, plan, settings), wanted)
    asked = scores_from_log_probs(log_probs, plan.num_candidates, plan.full)
    assert not plan.full
    # A banned token in the list of all scores stands at -inf, behind those that were -inf before.
    ours = top_candidates(plan, asked, settings)
    np.testing.assert_array_equal(ours.scores, expected.scores)
    possible = np.isfinite(expected.scores)
    np.testing.assert_array_equal(ours.ids[possible], expected.ids[possible])


def test_without_processors_the_engines_candidates_pass_unchanged() -> None:
    settings = settings_of(num_beams=4)
    plan = plan_of(np.array([[0, 5]]), settings)
    assert (plan.num_candidates, plan.full) == (8, False)
    log_probs = scores_with_ties(np.random.default_rng(0), 1)
    ours = top_candidates(plan, scores_from_log_probs(log_probs, 8, False), settings)
    assert_same(ours, select_top(log_probs, 8))


def test_bans_ask_for_as_many_candidates_more() -> None:
    settings = settings_of(num_beams=4, min_length=5, suppress_tokens=[7, 8])
    assert plan_of(np.array([[0, 5]]), settings).num_candidates == 8 + 3
    assert plan_of(np.array([[0, 5, 5, 5, 5]]), settings).num_candidates == 8 + 2


def test_ngram_bans_ask_for_as_many_as_the_worst_row_has() -> None:
    settings = settings_of(num_beams=2, no_repeat_ngram_size=2)
    history = np.array([[0, 5, 6, 5, 7, 5], [0, 5, 6, 7, 8, 9]])
    plan = plan_of(history, settings)
    np.testing.assert_array_equal(np.sort(plan.bans, axis=1), [[6, 7], [-1, -1]])
    assert plan.num_candidates == 4 + 2


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.2},
        {"suppress_tokens": list(range(2, 55))},
        {"do_sample": True, "num_beams": 1},
    ],
)
def test_penalties_sampling_and_bans_of_almost_everything_take_all_scores(
    options: dict[str, Any],
) -> None:
    settings = settings_of(**{"num_beams": 8, **options})
    assert plan_of(np.array([[0]]), settings).full


def test_long_lists_of_bans_take_all_scores() -> None:
    settings = settings_of(vocab_size=5000, num_beams=4, suppress_tokens=range(100, 229))
    assert plan_of(np.array([[0]]), settings).full
    settings = settings_of(vocab_size=5000, num_beams=4, suppress_tokens=range(100, 228))
    assert not plan_of(np.array([[0]]), settings).full


def test_a_vocabulary_smaller_than_the_candidates_is_taken_whole() -> None:
    settings = settings_of(vocab_size=6, num_beams=8)
    plan = plan_of(np.array([[0]]), settings)
    assert (plan.num_candidates, plan.full) == (6, False)


@pytest.mark.parametrize("forced", [[5], [3, 40], [0, 1, 2]])
def test_forced_tokens_need_no_scores(forced: list[int]) -> None:
    settings = settings_of(num_beams=2, max_length=4, forced_eos_token_id=forced, min_length=4)
    plan = plan_of(np.array([[0, 5, 6], [0, 6, 7]]), settings)
    assert plan.forced == tuple(forced)
    all_forced = process_scores(np.zeros((2, VOCAB_SIZE), np.float32), plan, settings)
    assert_same(top_candidates(plan, None, settings), select_top(all_forced, 4))


def test_forced_eos_wins_over_forced_bos() -> None:
    settings = settings_of(max_length=2, forced_bos_token_id=5, forced_eos_token_id=1)
    assert plan_of(np.array([[0]]), settings).forced == (1,)


def empty_scores(width: int) -> StepScores:
    return StepScores(
        top_scores=np.zeros((1, width), np.float32),
        top_ids=np.zeros((1, width), np.int64),
        log_probs=None,
        log_normalizer=None,
    )


@pytest.mark.parametrize(
    ("options", "scores", "message"),
    [
        ({}, None, "a step that forces no token has no scores: run the engine for it"),
        ({}, empty_scores(3), "the engine returned 3 candidates per row, expected 4: report this"),
        (
            {"repetition_penalty": 2.0},
            empty_scores(4),
            "the engine returned no log_probs to a step that asked for full scores: "
            "export the bundle with its log_probs output",
        ),
    ],
)
def test_an_engine_that_returns_too_little_is_an_error(
    options: dict[str, Any], scores: StepScores | None, message: str
) -> None:
    settings = settings_of(num_beams=2, **options)
    with pytest.raises(EngineError, match=f"^{re.escape(message)}$"):
        top_candidates(plan_of(np.array([[0]]), settings), scores, settings)
