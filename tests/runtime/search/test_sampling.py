"""Greedy search and sampling: transformers' distributions, our own reproducible draws."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers.generation import logits_process as oracle

from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import EngineError, OptionsError
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search import sampling, warpers
from pegasus_runtime.search.candidates import plan_step
from pegasus_runtime.search.draws import seed_generators
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.prefix import row_starts
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.sources import index_source
from runtime.search.markov_engine import EOS, MarkovEngine, random_chain
from runtime.search.oracle import settings_for

VOCAB_SIZE = 20
SOURCES = [[2, 9, 4, EOS], [3, EOS], [4, 8, 8, EOS]]


def settings_of(vocab_size: int = VOCAB_SIZE, **options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(**options), vocab_size=vocab_size)


def chain_engine(seed: int = 0, *, sharpness: float = 2.0) -> MarkovEngine:
    rng = np.random.default_rng(seed)
    return MarkovEngine(
        random_chain(rng, num_kinds=5, vocab_size=VOCAB_SIZE, sharpness=sharpness), normalizer=1.5
    )


def test_the_warpers_follow_each_other_as_in_transformers() -> None:
    logits = torch.randn(50, VOCAB_SIZE, generator=torch.Generator().manual_seed(0)) * 3
    expected = logits
    for warper in (
        oracle.TemperatureLogitsWarper(0.7),
        oracle.TopKLogitsWarper(8),
        oracle.TopPLogitsWarper(0.8),
    ):
        expected = warper(torch.empty(0), expected)
    settings = settings_of(do_sample=True, temperature=0.7, top_k=8, top_p=0.8)
    ours = warpers.warp_scores(logits.numpy(), settings)
    np.testing.assert_allclose(ours, expected.numpy(), rtol=1e-6)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    engine = chain_engine(sharpness=1.0)
    settings = settings_of(do_sample=True, top_k=0, max_length=2)
    counts = np.zeros(VOCAB_SIZE)
    for seed in range(1000):
        ((found,),) = generate(engine, [[2, EOS]], replace(settings, seed=seed))
        counts[found.token_ids[0]] += 1
    expected = np.exp(engine.log_probs[2, 0]) * 1000
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < 43.8  # chi-square with 19 degrees of freedom, p = 0.001


def test_a_seed_gives_the_same_samples_in_any_batch() -> None:
    settings = settings_of(do_sample=True, seed=4, num_return_sequences=3, max_length=12)
    batch = generate(chain_engine(), SOURCES, settings)
    assert batch == generate(chain_engine(), SOURCES, settings)
    assert batch[::-1] == generate(chain_engine(), SOURCES[::-1], settings)
    assert batch == [generate(chain_engine(), [source], settings)[0] for source in SOURCES]
    assert all(len({found.token_ids for found in samples}) > 1 for samples in batch)


def test_another_seed_or_no_seed_gives_other_samples() -> None:
    settings = settings_of(do_sample=True, seed=4, top_k=0, max_length=12)
    seeded = generate(chain_engine(sharpness=0.5), SOURCES, settings)
    assert seeded != generate(chain_engine(sharpness=0.5), SOURCES, replace(settings, seed=5))
    unseeded = replace(settings, seed=None, min_length=12)  # an early EOS is drawn alike, often
    drawn = [generate(chain_engine(sharpness=0.5), [SOURCES[2]] * 2, unseeded) for _ in range(2)]
    assert len({found.token_ids for batch in drawn for (found,) in batch}) == 4


def test_samples_come_best_first_and_end_with_eos_or_at_max_length() -> None:
    settings = settings_of(do_sample=True, seed=0, num_return_sequences=8, max_length=6)
    for samples in generate(chain_engine(), SOURCES, settings):
        scores = [found.score for found in samples]
        assert scores == sorted(scores, reverse=True)
        for found in samples:
            assert EOS not in found.token_ids[:-1]
            assert found.token_ids[-1] == EOS or len(found.token_ids) == 5


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.3}, {"min_length": 5}])
@pytest.mark.parametrize("do_sample", [False, True])
def test_the_score_is_the_models_own_log_probability(
    do_sample: bool, options: dict[str, Any]
) -> None:
    engine = chain_engine()
    settings = settings_of(
        do_sample=do_sample, max_length=8, length_penalty=0.5, forced_bos_token_id=5, **options
    )
    for source, (found,) in zip(SOURCES, generate(engine, SOURCES, settings), strict=True):
        total, last = 0.0, 5  # the forced token counts 0
        for token in found.token_ids[1:]:
            total += float(engine.log_probs[source[0] % 5, last, token])
            last = token
        assert found.score == pytest.approx(total / len(found.token_ids) ** 0.5, rel=1e-5)


def test_greedy_search_asks_for_one_candidate() -> None:
    engine = chain_engine()
    generate(engine, SOURCES, settings_of(max_length=6))
    assert {(wanted, full) for _, wanted, full in engine.calls} == {(1, False)}


def test_greedy_search_penalizes_logits_where_beam_search_penalizes_log_probabilities() -> None:
    log_probs = np.full((1, 4, 4), np.log(0.02), np.float32)
    log_probs[0, :, 2] = np.log(0.5)
    log_probs[0, :, 3] = np.log(0.46)
    settings = settings_of(4, max_length=3, repetition_penalty=1.05)
    as_logits = MarkovEngine(log_probs, normalizer=5.0)  # 4.31 / 1.05 is below 4.22
    ((found,),) = generate(as_logits, [[2, EOS]], settings)
    assert found.token_ids == (2, 3)
    beams = replace(settings, num_beams=2)
    ((best,),) = generate(as_logits, [[2, EOS]], beams)
    assert best.token_ids == (2, 2)  # log 0.5 * 1.05 is still above log 0.46


def test_a_forced_token_is_drawn_whatever_the_model_thinks() -> None:
    settings = settings_of(
        do_sample=True, forced_bos_token_id=7, max_length=4, forced_eos_token_id=[1, 9]
    )
    for (found,) in generate(chain_engine(), SOURCES, settings):
        assert found.token_ids[0] == 7
        assert len(found.token_ids) < 3 or found.token_ids[-1] in (1, 9)


def test_a_document_that_has_ended_waits_for_the_others() -> None:
    found = generate(chain_engine(), SOURCES, settings_of(max_length=12))
    assert len({len(row.token_ids) for (row,) in found}) > 1
    alone = [generate(chain_engine(), [source], settings_of(max_length=12)) for source in SOURCES]
    assert [[row] for (row,) in found] == [rows for (rows,) in alone]


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"repetition_penalty": 1.2}])
def test_options_that_leave_no_token_are_an_error(options: dict[str, Any]) -> None:
    settings = settings_of(suppress_tokens=range(VOCAB_SIZE), **options)
    message = "no token may follow a row under these options: ban fewer tokens"
    with pytest.raises(OptionsError, match=f"^{message}$"):
        generate(chain_engine(), SOURCES, settings)


def test_an_engine_without_log_normalizer_cannot_sample() -> None:
    settings = settings_of(do_sample=True)
    state = sampling.initial_samples(row_starts([[2]], settings), settings)
    plan = plan_step(
        sampling.sample_history(state, settings), [index_source([2], settings)], settings
    )
    scores = StepScores(
        top_scores=np.zeros((1, 1), np.float32),
        top_ids=np.zeros((1, 1), np.int64),
        log_probs=np.zeros((1, VOCAB_SIZE), np.float32),
        log_normalizer=None,
    )
    message = (
        "the engine returned no log_normalizer to a step that asked for full scores: "
        "export the bundle with its log_normalizer output"
    )
    with pytest.raises(EngineError, match=f"^{re.escape(message)}$"):
        sampling.choose_tokens(state, plan, scores, seed_generators([[2]], None, 1), settings)
