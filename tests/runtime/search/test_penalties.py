"""Each processor that looks at scores against the transformers class of its name."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers.generation import logits_process as oracle

from pegasus_runtime.search import penalties
from pegasus_runtime.search.sources import Source

VOCAB_SIZE = 12
Scores = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]


@pytest.fixture(params=["log_probs", "logits", "banned"])
def scores(request: pytest.FixtureRequest) -> Scores:
    logits = np.random.default_rng(5).standard_normal((6, VOCAB_SIZE)) * 3
    if request.param == "log_probs":
        logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    if request.param == "banned":
        logits[:, 1] = -np.inf
    return logits.astype(np.float32)


def histories(seed: int) -> list[Tokens]:
    """Rows of every length from 1, over few tokens, so that they repeat."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 5, (6, length)) for length in range(1, 12)]


def apply(processor: Any, history: Tokens, scores: Scores) -> Scores:
    processed = processor(torch.from_numpy(history), torch.from_numpy(scores.copy()))
    result: Scores = processed.numpy()
    return result


@pytest.mark.parametrize("penalty", [0.7, 1.3, 2.0])
def test_repetition_penalty_is_transformers(scores: Scores, penalty: float) -> None:
    processor = oracle.RepetitionPenaltyLogitsProcessor(penalty)
    for history in histories(1):
        ours = penalties.penalize_repetition(scores, history, penalty)
        np.testing.assert_allclose(ours, apply(processor, history, scores), rtol=1e-6)


@pytest.mark.parametrize("penalty", [0.7, 1.3, 2.0])
def test_penalty_of_the_source_is_transformers(scores: Scores, penalty: float) -> None:
    sources = np.random.default_rng(2).integers(0, VOCAB_SIZE, (3, 5))
    processor: Any = oracle.EncoderRepetitionPenaltyLogitsProcessor(
        penalty, torch.from_numpy(sources)
    )
    indexed = [Source(ngrams={}, tokens=np.unique(source)) for source in sources]
    ours = penalties.favour_source(scores, indexed, penalty)
    np.testing.assert_allclose(ours, apply(processor, histories(0)[0], scores), rtol=1e-6)


def test_sequence_bias_is_transformers(scores: Scores) -> None:
    biases = {(2,): 1.5, (2, 3): -4.0, (4, 3): 2.0, (0, 1, 3): 0.5, (1, 1): float("-inf")}
    processor: Any = oracle.SequenceBiasLogitsProcessor(biases)  # type: ignore[arg-type]
    for history in histories(4):
        ours = penalties.add_biases(scores, history, tuple(biases.items()))
        np.testing.assert_allclose(ours, apply(processor, history, scores), rtol=1e-6)


@pytest.mark.parametrize("factor", [0.9, 1.05, 2.0])
@pytest.mark.parametrize("eos", [[1], [1, 3]])
def test_exponential_decay_is_transformers(scores: Scores, eos: list[int], factor: float) -> None:
    processor: Any = oracle.ExponentialDecayLengthPenalty((3, factor), torch.tensor(eos), 1)
    for history in histories(6):
        over = history.shape[1] - 4
        ours = penalties.favour_end(scores, eos, factor, over) if over > 0 else scores
        np.testing.assert_allclose(ours, apply(processor, history, scores), rtol=1e-6)


def test_the_decay_of_a_banned_token_that_was_made_possible_is_transformers() -> None:
    scores = np.array([[0.0, np.finfo(np.float32).min, -1.0]], np.float32)
    processor: Any = oracle.ExponentialDecayLengthPenalty((0, 1.5), torch.tensor([1]), 1)
    for length in (2, 3, 5):
        history = np.zeros((1, length), np.int64)
        ours = penalties.favour_end(scores, [1], 1.5, length - 1)
        np.testing.assert_allclose(ours, apply(processor, history, scores), rtol=1e-6)


def test_invalid_values_are_replaced_as_in_transformers(scores: Scores) -> None:
    scores[0, :3] = np.nan, np.inf, -np.inf
    processor = oracle.InfNanRemoveLogitsProcessor()
    ours = penalties.replace_invalid(scores)
    np.testing.assert_array_equal(ours, apply(processor, histories(0)[0], scores))


def test_normalisation_is_transformers(scores: Scores) -> None:
    ours = penalties.normalize(scores)
    expected = apply(oracle.LogitNormalization(), histories(0)[0], scores)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_normalisation_leaves_impossible_rows_alone() -> None:
    nothing = np.full((1, 4), -np.inf, np.float32)
    np.testing.assert_array_equal(penalties.normalize(nothing), nothing)


def test_processors_leave_their_input_alone(scores: Scores) -> None:
    before, history = scores.copy(), np.zeros((6, 3), np.int64)
    penalties.penalize_repetition(scores, history, 2.0)
    penalties.favour_source(scores, [Source(ngrams={}, tokens=np.array([1, 2]))], 2.0)
    penalties.add_biases(scores, history, (((2,), 1.0),))
    penalties.favour_end(scores, [1], 1.1, 2)
    penalties.replace_invalid(scores)
    np.testing.assert_array_equal(scores, before)
