"""Tokens and scores against transformers' `generate`, over random options and random tiny models.

Where fewer than num_return_sequences sequences are possible, transformers fills up with rows that
stand for none (score -1e9); here fewer come back.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from runtime.search.oracle import (
    draws_for,
    random_options,
    random_sources,
    run_oracle,
    settings_for,
    with_draws,
    with_more_options,
)
from runtime.search.torch_engine import EOS, TorchEngine, tiny_pegasus

VOCAB_SIZE = 40
SCORE_TOLERANCE = 1e-4

model_of = cache(tiny_pegasus)


def assert_parity(
    model: Any,
    sources: Sequence[Sequence[int]],
    options: GenerationOptions,
    eos: tuple[int, ...] = (EOS,),
) -> None:
    settings = settings_for(options, vocab_size=VOCAB_SIZE, eos=eos)
    found = generate(TorchEngine(model), sources, settings)
    batches = [sources]
    if options.encoder_no_repeat_ngram_size or options.encoder_repetition_penalty:
        # In a padded batch, transformers also looks at padding.
        batches = [[source] for source in sources]
    expected = []
    for batch in batches:
        with draws_for(batch, options, settings):
            expected += run_oracle(model, batch, options, eos=eos)
    for ours, theirs in zip(found, expected, strict=True):
        possible = [(tokens, score) for tokens, score in theirs if not score < -5e8]
        if settings.do_sample and settings.num_beams == 1:  # transformers does not sort them
            assert sorted(row.token_ids for row in ours) == sorted(tokens for tokens, _ in theirs)
            continue
        assert [hypothesis.token_ids for hypothesis in ours] == [tokens for tokens, _ in possible]
        if settings.num_beams > 1:
            scores = [score for _, score in possible]
            assert [row.score for row in ours] == pytest.approx(
                scores, rel=SCORE_TOLERANCE, abs=SCORE_TOLERANCE
            )


@pytest.mark.parametrize("seed", range(40))
def test_beam_search_is_transformers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = random_options(rng, VOCAB_SIZE)
    eos = (EOS,) if seed % 4 else (EOS, 3)
    assert_parity(model_of(seed % 4), random_sources(rng, 3, VOCAB_SIZE), options, eos)


@pytest.mark.parametrize("seed", range(15))
def test_greedy_search_is_transformers(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    options = replace(random_options(rng, VOCAB_SIZE), num_beams=1, num_return_sequences=None)
    assert_parity(model_of(seed % 4), random_sources(rng, 3, VOCAB_SIZE), options)


@pytest.mark.parametrize("num_beams", [1, None])
@pytest.mark.parametrize("seed", range(40))
def test_all_options_together_are_transformers(seed: int, num_beams: int | None) -> None:
    rng = np.random.default_rng(2000 + seed)
    options = with_more_options(rng, random_options(rng, VOCAB_SIZE), VOCAB_SIZE)
    if num_beams == 1:
        options = replace(options, num_beams=1, num_return_sequences=None)
    eos = (EOS,) if seed % 4 else (EOS, 3)
    assert_parity(model_of(seed % 4), random_sources(rng, 3, VOCAB_SIZE), options, eos)


@pytest.mark.parametrize("num_beams", [1, None])
@pytest.mark.parametrize("seed", range(40))
def test_samples_by_the_same_numbers_are_transformers(seed: int, num_beams: int | None) -> None:
    rng = np.random.default_rng(3000 + seed)
    options = with_draws(rng, random_options(rng, VOCAB_SIZE))
    if seed % 2:
        options = with_more_options(rng, options, VOCAB_SIZE)
    if num_beams == 1:
        options = replace(options, num_beams=1)
    eos = (EOS,) if seed % 4 else (EOS, 3)
    assert_parity(model_of(seed % 4), random_sources(rng, 3, VOCAB_SIZE), options, eos)


def test_an_eos_that_is_given_twice_counts_twice_as_in_transformers() -> None:
    """It draws as many continuations, and keeps as many tokens possible."""
    options = GenerationOptions(
        num_beams=3,
        max_length=12,
        eos_token_id=[EOS, 3, EOS],
        do_sample=True,
        seed=5,
        temperature=8.0,
        top_p=0.1,
    )
    assert_parity(model_of(2), random_sources(np.random.default_rng(5), 3, VOCAB_SIZE), options)


@pytest.mark.parametrize("early_stopping", [False, True, "never"])
@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 0.6, 2.0])
def test_stopping_is_transformers_for_every_kind_of_length_penalty(
    early_stopping: Any, length_penalty: float
) -> None:
    options = GenerationOptions(
        num_beams=4,
        max_length=16,
        early_stopping=early_stopping,
        length_penalty=length_penalty,
        num_return_sequences=4,
    )
    sources = random_sources(np.random.default_rng(9), 4, VOCAB_SIZE)
    assert_parity(model_of(1), sources, options)


@pytest.mark.parametrize("num_beams", [16, 32])
def test_wide_beams_are_transformers(num_beams: int) -> None:
    options = GenerationOptions(
        num_beams=num_beams, max_length=12, forced_eos_token_id=EOS, length_penalty=0.6
    )
    sources = random_sources(np.random.default_rng(3), 2, VOCAB_SIZE)
    assert_parity(model_of(2), sources, options)
