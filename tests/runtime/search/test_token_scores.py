"""Scores of tokens against transformers' compute_transition_scores."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from runtime.search.markov_engine import MarkovEngine, random_chain
from runtime.search.oracle import (
    ask,
    draws_for,
    random_options,
    random_sources,
    settings_for,
    with_draws,
    with_more_options,
)
from runtime.search.torch_engine import EOS, TorchEngine, tiny_pegasus

VOCAB_SIZE = 40


def transition_scores(model: Any, source: list[int], options: GenerationOptions) -> list[float]:
    """Of the best row of one document."""
    with draws_for([source], options, settings_for(options, vocab_size=VOCAB_SIZE)):
        output, _ = ask(model, [source], options)
    indices = getattr(output, "beam_indices", None)
    scores = model.compute_transition_scores(
        output.sequences, output.scores, indices, normalize_logits=indices is None
    )
    found: list[float] = scores[0].tolist()
    return found


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("seed", range(12))
def test_token_scores_are_transformers(seed: int, num_beams: int, do_sample: bool) -> None:
    rng = np.random.default_rng(seed)
    options = random_options(rng, VOCAB_SIZE)
    if seed % 2:
        options = with_more_options(rng, options, VOCAB_SIZE)
    if do_sample:
        options = with_draws(rng, options)
    options = replace(options, num_beams=num_beams, num_return_sequences=None, token_scores=True)
    model = tiny_pegasus(seed % 4)
    settings = settings_for(options, vocab_size=VOCAB_SIZE)
    for source in random_sources(rng, 2, VOCAB_SIZE):
        ((found,),) = generate(TorchEngine(model), [source], settings)
        assert found.token_scores is not None
        assert len(found.token_scores) == len(found.token_ids) + 1 - settings.prompt_length
        theirs = transition_scores(model, source, options)[: len(found.token_scores)]
        assert found.token_scores == pytest.approx(theirs, rel=1e-3, abs=1e-3)
        if num_beams > 1:
            divisor = len(found.token_scores) ** settings.length_penalty
            assert sum(found.token_scores) / divisor == pytest.approx(found.score, rel=1e-4)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_nothing_is_kept_or_asked_of_the_engine_where_nobody_wants_them(num_beams: int) -> None:
    chain = random_chain(np.random.default_rng(0), num_kinds=2, vocab_size=VOCAB_SIZE)
    engine = MarkovEngine(chain)
    options = GenerationOptions(num_beams=num_beams, max_length=6)
    ((found,),) = generate(engine, [[2, EOS]], settings_for(options, vocab_size=VOCAB_SIZE))
    assert found.token_scores is None
    assert not any(full for _, _, full in engine.calls)


def test_scores_of_beams_need_no_more_of_the_engine() -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(0), num_kinds=2, vocab_size=40))
    options = GenerationOptions(num_beams=3, max_length=6, token_scores=True)
    generate(engine, [[2, EOS]], settings_for(options, vocab_size=40))
    assert not any(full for _, _, full in engine.calls)
