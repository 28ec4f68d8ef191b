"""Each processor against the transformers class of its name, and all of them in their order."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import GenerationConfig
from transformers.generation import logits_process as oracle

from pegasus_runtime.search.candidates import plan_step, process_scores
from pegasus_runtime.search.processors import (
    ban_tokens,
    find_bad_word_ends,
    find_repeated_ngram_ends,
    find_source_ngram_ends,
)
from pegasus_runtime.search.sources import Source, index_source, index_source_ngrams
from runtime.search.oracle import (
    oracle_arguments,
    random_options,
    settings_for,
    with_draws,
    with_more_options,
)
from runtime.search.torch_engine import tiny_pegasus

VOCAB_SIZE = 12
Scores = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]


@pytest.fixture(params=["log_probs", "logits"])
def scores(request: pytest.FixtureRequest) -> Scores:
    logits = np.random.default_rng(5).standard_normal((6, VOCAB_SIZE)) * 3
    if request.param == "log_probs":
        logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return logits.astype(np.float32)


def histories(seed: int) -> list[Tokens]:
    """Rows of every length from 1, over few tokens, so that they repeat."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 5, (6, length)) for length in range(1, 12)]


def apply(processor: Any, history: Tokens, scores: Scores) -> Scores:
    processed = processor(torch.from_numpy(history), torch.from_numpy(scores.copy()))
    result: Scores = processed.numpy()
    return result


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_repeated_ngrams_are_banned_as_in_transformers(scores: Scores, size: int) -> None:
    processor = oracle.NoRepeatNGramLogitsProcessor(size)
    for history in histories(2):
        ours = ban_tokens(scores, find_repeated_ngram_ends(history, size))
        np.testing.assert_array_equal(ours, apply(processor, history, scores))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_source_ngrams_are_banned_as_in_transformers(scores: Scores, size: int) -> None:
    sources = np.random.default_rng(3).integers(0, 5, (3, 9))
    processor = oracle.EncoderNoRepeatNGramLogitsProcessor(size, torch.from_numpy(sources))
    indexed = [with_ngrams(source.tolist(), size) for source in sources]
    for history in histories(3):
        ours = ban_tokens(scores, find_source_ngram_ends(history, indexed, size))
        np.testing.assert_array_equal(ours, apply(processor, history, scores))


def with_ngrams(source: list[int], size: int) -> Source:
    return Source(ngrams=index_source_ngrams(source, size), tokens=np.empty(0, np.int64))


def test_a_source_shorter_than_the_ngram_bans_nothing() -> None:
    indexed = [with_ngrams([4, 1], 3)]
    assert indexed[0].ngrams == {}
    assert find_source_ngram_ends(np.array([[0, 4, 1]]), indexed, 3).shape == (1, 0)


def test_bad_words_are_banned_as_in_transformers(scores: Scores) -> None:
    words = [[2, 3], [4, 3], [1, 2, 3, 4], [0, 1], [3, 3, 3]]
    processor = oracle.NoBadWordsLogitsProcessor(words, 1)
    for history in histories(4):
        ours = ban_tokens(scores, find_bad_word_ends(history, words))
        np.testing.assert_array_equal(ours, apply(processor, history, scores))


def test_processors_leave_their_input_alone(scores: Scores) -> None:
    before = scores.copy()
    history = np.zeros((6, 3), np.int64)
    ban_tokens(scores, history)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("kind", ["old", "new", "drawn"])
@pytest.mark.parametrize("seed", range(60))
def test_all_processors_in_order_are_transformers_list(
    scores: Scores, seed: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    options = random_options(rng, VOCAB_SIZE)
    if kind != "old":
        options = with_more_options(rng, options, VOCAB_SIZE)
        options = replace(options, decoder_input_ids=None)  # the rows stand for one
    if kind == "drawn":
        options = with_draws(rng, options)
    eos = (1,) if seed % 3 else (1, 3)
    settings = settings_for(options, vocab_size=VOCAB_SIZE, eos=eos)
    sources = rng.integers(0, 5, (3, 9))
    indexed = [index_source(source.tolist(), settings) for source in sources]
    processors = transformers_list(oracle_arguments(options), sources, eos)
    for history in histories(seed):
        if history.shape[1] >= settings.max_length:
            continue
        plan = plan_step(history, indexed, settings)
        ours = process_scores(scores, plan, settings)
        np.testing.assert_allclose(ours, apply(processors, history, scores), rtol=1e-5, atol=1e-6)


def transformers_list(arguments: dict[str, Any], sources: Tokens, eos: tuple[int, ...]) -> Any:
    """What `generate` would build, by the methods it builds it with."""
    model: Any = tiny_pegasus(0, vocab_size=VOCAB_SIZE)
    config = GenerationConfig(**arguments)
    config.update(**GenerationConfig._get_default_generation_params(), defaults_only=True)
    config._eos_token_tensor = torch.tensor(eos)
    config = model._prepare_generated_length(
        generation_config=config,
        has_default_max_length=False,
        has_default_min_length=True,
        model_input_name="input_ids",
        input_ids_length=1,
        inputs_tensor=torch.from_numpy(sources),
    )
    return model._get_logits_processor(
        generation_config=config,
        input_ids_seq_length=1,
        encoder_input_ids=torch.from_numpy(sources),
        device="cpu",
        model_kwargs={},
    )
