"""Each warper against the transformers class of its name, ties and impossible tokens included."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers.generation import logits_process as oracle

from pegasus_runtime.search import warpers
from pegasus_runtime.search.options import GenerationOptions
from runtime.search.oracle import settings_for

VOCAB_SIZE = 150  # more than top_h looks at
Scores = npt.NDArray[np.float32]


@pytest.fixture(params=["logits", "log_probs", "impossible", "forced"])
def scores(request: pytest.FixtureRequest) -> Scores:
    logits = np.random.default_rng(3).standard_normal((40, VOCAB_SIZE)) * 3
    if request.param == "log_probs":
        logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    if request.param == "impossible":
        logits[:, ::2] = -np.inf
    if request.param == "forced":
        logits[:] = -np.inf
        logits[:, 7] = 0
    return logits.astype(np.float32)


def assert_same(ours: Scores, warper: Callable[..., torch.Tensor], scores: Scores) -> None:
    expected = warper(torch.empty(0), torch.from_numpy(scores.copy()))
    np.testing.assert_array_equal(ours, expected.numpy())


@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("top_k", [1, 3, 50, 500])
def test_top_k_keeps_what_transformers_keeps(scores: Scores, top_k: int, keep: int) -> None:
    ours = warpers.keep_top_k(scores, top_k, keep)
    assert_same(ours, oracle.TopKLogitsWarper(top_k, min_tokens_to_keep=keep), scores)


def test_top_k_keeps_ties() -> None:
    tied = np.random.default_rng(0).integers(-9, 9, (5, VOCAB_SIZE)).astype(np.float32)
    assert_same(warpers.keep_top_k(tied, 3), oracle.TopKLogitsWarper(3), tied)


@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("top_p", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_top_p_keeps_what_transformers_keeps(scores: Scores, top_p: float, keep: int) -> None:
    ours = warpers.keep_top_p(scores, top_p, keep)
    possible = np.isfinite(scores).sum(axis=1).min()
    if keep <= possible:  # of impossible tokens either may stay
        assert_same(ours, oracle.TopPLogitsWarper(top_p, min_tokens_to_keep=keep), scores)


@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("min_p", [0.0, 0.02, 0.3, 1.0])
def test_min_p_keeps_what_transformers_keeps(scores: Scores, min_p: float, keep: int) -> None:
    ours = warpers.keep_min_p(scores, min_p, keep)
    assert_same(ours, oracle.MinPLogitsWarper(min_p, min_tokens_to_keep=keep), scores)


@pytest.mark.parametrize("top_h", [0.1, 0.4, 0.9, 0.98])  # at 1, rounding chooses the last
def test_top_h_keeps_what_transformers_keeps(scores: Scores, top_h: float) -> None:
    assert_same(warpers.keep_top_h(scores, top_h), oracle.TopHLogitsWarper(top_h), scores)


@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("mass", [0.05, 0.2, 0.9, 0.99])
def test_typical_p_keeps_what_transformers_keeps(scores: Scores, mass: float, keep: int) -> None:
    ours = warpers.keep_typical(scores, mass, keep)
    assert_same(ours, oracle.TypicalLogitsWarper(mass, min_tokens_to_keep=keep), scores)


@pytest.mark.parametrize("keep", [1, 2, 3])
@pytest.mark.parametrize("epsilon", [3e-4, 0.02, 0.5])
def test_cutoffs_keep_what_transformers_keeps(scores: Scores, epsilon: float, keep: int) -> None:
    ours = warpers.keep_above_epsilon(scores, epsilon, keep)
    assert_same(ours, oracle.EpsilonLogitsWarper(epsilon, min_tokens_to_keep=keep), scores)
    ours = warpers.keep_above_eta(scores, epsilon, keep)
    assert_same(ours, oracle.EtaLogitsWarper(epsilon, min_tokens_to_keep=keep), scores)


def test_without_options_nothing_is_ruled_out() -> None:
    scores = np.random.default_rng(0).standard_normal((5, VOCAB_SIZE)).astype(np.float32)
    options = GenerationOptions(do_sample=True, top_k=0)
    settings = settings_for(options, vocab_size=VOCAB_SIZE)
    np.testing.assert_array_equal(warpers.warp_scores(scores, settings), scores)
