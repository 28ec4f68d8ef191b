"""The loop around search and engine: progress, interruption, broken engines."""

from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import EngineError, GenerationInterrupted
from pegasus_runtime.generation.loop import generate, run_search
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import SearchSettings
from runtime.search.markov_engine import EOS, MarkovEngine, random_chain
from runtime.search.oracle import settings_for


def settings_of(**options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(**options), vocab_size=20)


def endless_engine() -> MarkovEngine:
    chain = random_chain(np.random.default_rng(0), num_kinds=2, vocab_size=20)
    chain[:, :, EOS] = -100
    return MarkovEngine(chain)


def test_no_documents_give_no_hypotheses() -> None:
    assert generate(endless_engine(), [], settings_of()) == []


@pytest.mark.parametrize("num_beams", [1, 3])
def test_every_step_is_reported_with_the_tokens_so_far(num_beams: int) -> None:
    lengths: list[int] = []
    settings = settings_of(num_beams=num_beams, max_length=6, forced_eos_token_id=EOS)
    generate(endless_engine(), [[2, EOS]], settings, on_step=lengths.append)
    assert lengths == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_what_on_step_raises_ends_the_generation(num_beams: int) -> None:
    engine = endless_engine()

    def cancel(length: int) -> None:
        if length == 3:
            raise GenerationInterrupted("cancelled")

    with pytest.raises(GenerationInterrupted, match="cancelled"):
        generate(engine, [[2, EOS]], settings_of(num_beams=num_beams, max_length=9), on_step=cancel)
    assert len(engine.calls) == 2


@pytest.mark.parametrize("num_beams", [1, 3])
def test_nan_scores_are_an_error(num_beams: int) -> None:
    chain = random_chain(np.random.default_rng(0), num_kinds=2, vocab_size=20)
    chain[1] = np.nan
    message = "the engine returned NaN scores for token 1: the precision of the bundle does not"
    with pytest.raises(EngineError, match=message):
        generate(MarkovEngine(chain), [[2, EOS], [3, EOS]], settings_of(num_beams=num_beams))


SOURCES = [[kind, 9, EOS] for kind in (2, 3, 4, 5, 6, 3, 2)]


def chain_engine() -> MarkovEngine:
    return MarkovEngine(random_chain(np.random.default_rng(7), num_kinds=5, vocab_size=20))


@pytest.mark.parametrize("num_beams", [1, 2, 5])
def test_no_step_is_spent_on_a_document_that_is_done(num_beams: int) -> None:
    settings = settings_of(num_beams=num_beams, max_length=12, early_stopping=num_beams > 1)
    engine = chain_engine()
    generate(engine, SOURCES, settings)
    expected = np.zeros(11, np.int64)
    for source in SOURCES:
        alone = chain_engine()
        generate(alone, [source], settings)
        rows = [rows for rows, _, _ in alone.calls]
        expected[: len(rows)] += rows
    assert [rows for rows, _, _ in engine.calls] == expected[expected > 0].tolist()
    assert engine.kept, "all documents ended at once"


@pytest.mark.parametrize("num_beams", [1, 5])
def test_the_engine_is_told_once_a_step_and_not_when_all_are_done(num_beams: int) -> None:
    engine = endless_engine()
    settings = settings_of(num_beams=num_beams, max_length=6)
    generate(engine, [[2, EOS], [3, EOS]], settings)
    assert engine.kept == []


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 3},
        {"num_beams": 4, "num_return_sequences": 2, "encoder_no_repeat_ngram_size": 2},
        {},
        {"encoder_no_repeat_ngram_size": 2},
        {"do_sample": True, "seed": 3, "num_return_sequences": 3, "top_k": 0},
        {"do_sample": True, "seed": 4, "encoder_no_repeat_ngram_size": 2},
    ],
)
def test_what_belongs_to_a_document_follows_it_when_others_leave(options: dict[str, Any]) -> None:
    sources = [[kind, *range(kind, 20, 3), EOS] for kind in (2, 3, 4, 5, 6, 8, 9, 13)]
    settings = settings_of(max_length=12, **options)
    engine = chain_engine()
    together = generate(engine, sources, settings)
    assert together == [generate(chain_engine(), [source], settings)[0] for source in sources]
    moves = [kept for kept in engine.kept if kept != list(range(len(kept)))]
    assert moves, "no document changed its place"


LEAVING: list[dict[str, Any]] = [
    {"num_beams": 3},
    {"num_beams": 1},
    {"num_beams": 3, "do_sample": True, "seed": 3, "encoder_no_repeat_ngram_size": 2},
    {"do_sample": True, "seed": 3, "num_return_sequences": 3, "top_k": 0},
    {"num_beams": 2, "decoder_input_ids": [5, 7]},
]


@pytest.mark.parametrize("options", LEAVING)
@pytest.mark.parametrize("before_step", [0, 1, 2, 3])
def test_documents_may_leave_before_any_step_and_the_others_go_on(
    options: dict[str, Any], before_step: int
) -> None:
    settings = settings_of(max_length=12, min_length=8, **options)
    engine = chain_engine()
    search = run_search(engine, SOURCES, settings)
    for _ in range(before_step):
        next(search)
    found: dict[int, Any] = {}
    step = next(search)
    while len(step.state.documents):
        step = search.send({0, 3, 99} if before_step == 0 or not found else None)
        found.update(step.found)
    with pytest.raises(StopIteration):
        next(search)
    left = [1, 2, 4, 5, 6]
    assert sorted(found) == left
    for number in left:
        assert found[number] == generate(chain_engine(), [SOURCES[number]], settings)[0]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_search_that_all_leave_is_over(num_beams: int) -> None:
    engine = endless_engine()
    search = run_search(engine, [[2, EOS], [3, EOS]], settings_of(num_beams=num_beams))
    next(search)
    next(search)
    with pytest.raises(StopIteration):
        search.send([0, 1])
    assert len(engine.calls) == 1
    assert engine.kept == []


@pytest.mark.parametrize("num_beams", [1, 3])
def test_each_document_is_found_by_the_step_that_ends_it(num_beams: int) -> None:
    settings = settings_of(num_beams=num_beams, max_length=12, early_stopping=num_beams > 1)
    ends: dict[int, int] = {}
    for number, step in enumerate(run_search(chain_engine(), SOURCES, settings)):
        assert not set(step.found) & set(step.state.documents.tolist())
        ends.update(dict.fromkeys(step.found, number))
    for document, source in enumerate(SOURCES):
        alone = chain_engine()
        generate(alone, [source], settings)
        assert ends[document] in (len(alone.calls), len(alone.calls) + 1)  # the last may be forced
    assert len(set(ends.values())) > 1, "all ended together"
