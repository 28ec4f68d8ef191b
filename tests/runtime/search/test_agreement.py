"""What is certain of a hypothesis is never taken back, whatever the options.

pytest tests/runtime/search/test_agreement.py --agreement-cases 5000
"""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.agreed import stream_agreed
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search import beam, sampling
from pegasus_runtime.search.agreement import agreed_tokens
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.score import Hypothesis
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState, SampleState
from runtime.search.agreement_cases import draw_case
from runtime.search.markov_engine import EOS, PAD, START, MarkovEngine, random_chain
from runtime.search.oracle import settings_for

Parts = list[tuple[int, ...]]
SOURCE = [2, EOS]
LONGEST = 10
NEVER = -1e9


def settings_of(**options: Any) -> SearchSettings:
    return settings_for(GenerationOptions(max_length=LONGEST, **options), vocab_size=20)


def stream(engine: MarkovEngine, settings: SearchSettings) -> tuple[Parts, list[Hypothesis]]:
    """What was certain, each time that it was more, and what came out."""
    parts: Parts = []
    search = stream_agreed(engine, SOURCE, settings, on_step=lambda length: None)
    while True:
        try:
            parts.append(next(search))
        except StopIteration as end:
            return parts, end.value


def beams(
    settings: SearchSettings,
    running: dict[tuple[int, ...], float],
    finished: dict[tuple[int, ...], float] | None = None,
) -> BeamState:
    """A state of running rows of one length with their sums, and of finished ones with scores."""
    state = beam.initial_state(np.array([[START]]), settings)
    sequences, ended = state.sequences.copy(), state.sequences.copy()
    scores, lengths = state.scores.copy(), state.finished_lengths.copy()
    ended_scores, is_finished = state.finished_scores.copy(), state.is_finished.copy()
    scores[:] = NEVER
    length = 1
    for row, (tokens, score) in enumerate(running.items()):
        length = 1 + len(tokens)
        sequences[0, row, 1:length], scores[0, row] = tokens, score
    for row, (tokens, score) in enumerate((finished or {}).items()):
        ended[0, row, 1 : 1 + len(tokens)], lengths[0, row] = tokens, 1 + len(tokens)
        ended_scores[0, row], is_finished[0, row] = score, True
    return replace(
        state,
        length=length,
        sequences=sequences,
        scores=scores,
        finished_sequences=ended,
        finished_lengths=lengths,
        finished_scores=ended_scores,
        is_finished=is_finished,
    )


def test_nothing_is_taken_back(pytestconfig: pytest.Config) -> None:
    draw = random.Random(5)
    told = 0
    for _ in range(pytestconfig.getoption("--agreement-cases")):
        engine, settings = draw_case(draw)
        try:
            (expected,) = generate(engine, [SOURCE], settings)
        except OptionsError:
            with pytest.raises(OptionsError):
                stream(engine, settings)
            continue
        parts, found = stream(engine, settings)
        assert found == expected
        assert all(len(parts[i]) > len(parts[i - 1]) for i in range(1, len(parts)))
        assert all(found[0].token_ids[: len(part)] == part for part in parts), settings
        told += len(parts)
    assert told > pytestconfig.getoption("--agreement-cases"), "hardly anything was certain"


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "seed": 3, "top_k": 0}])
def test_a_single_row_tells_every_token_but_the_last(options: dict[str, Any]) -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(3), num_kinds=1, vocab_size=20))
    parts, (found,) = stream(engine, settings_of(num_beams=1, min_length=5, **options))
    assert parts == [found.token_ids[:count] for count in range(1, len(found.token_ids))]


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_prefix_is_certain_before_anything_runs(num_beams: int) -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(3), num_kinds=1, vocab_size=20))
    settings = settings_of(num_beams=num_beams, decoder_input_ids=[5, 7])
    search = stream_agreed(engine, SOURCE, settings, on_step=lambda length: None)
    assert next(search) == (5, 7)
    assert engine.calls == []


def test_running_rows_are_agreed_on_as_far_as_they_are_alike() -> None:
    settings = settings_of(num_beams=3)
    state = beams(settings, {(4, 5, 6): -1.0, (4, 5, 7): -2.0, (4, 5, 8): -9.0})
    assert agreed_tokens(state, settings, known=1) == (4, 5)
    assert agreed_tokens(state, settings, known=2) == (5,)
    assert agreed_tokens(state, settings, known=3) == ()


def test_a_row_that_stands_for_none_does_not_count() -> None:
    settings = settings_of(num_beams=2)
    state = beams(settings, {(4, 5): -1.0, (4, 6): NEVER})
    assert agreed_tokens(state, settings, known=1) == (4, 5)
    rising = settings_of(num_beams=2, sequence_bias={(5,): 1e12})
    assert agreed_tokens(state, rising, known=1) == (4,)


def test_the_best_finished_one_counts_and_the_others_do_not() -> None:
    settings = settings_of(num_beams=3)
    finished = {(4, 5, EOS): -0.9, (7, EOS): -1.0}
    state = beams(settings, {(4, 5, 6, 7): -1.0, (4, 5, 6, 8): -1.1}, finished)
    assert agreed_tokens(state, settings, known=1) == (4, 5)


def test_padding_behind_a_finished_one_is_none_of_its_tokens() -> None:
    settings = settings_of(num_beams=2, length_penalty=0.0)
    state = beams(settings, {(4, EOS, PAD): -1.0}, {(4, EOS): -2.0})
    assert agreed_tokens(state, settings, known=1) == (4, EOS)


@pytest.mark.parametrize(
    ("length_penalty", "longest_divisor"), [(1.0, 9.0), (0.0, 1.0), (-1.0, 1 / 4)]
)
def test_a_row_counts_while_it_may_score_above_the_best_finished_one(
    length_penalty: float, longest_divisor: float
) -> None:
    # Rows of 3 generated tokens may end with 4 to 9 of them.
    settings = settings_of(num_beams=2, length_penalty=length_penalty)
    finished = {(4, 5, EOS): -1.0}
    for sum_, agreed in ((-0.99, (4,)), (-1.0, (4, 5, EOS)), (-1.01, (4, 5, EOS))):
        running = {(4, 6, 7): sum_ * longest_divisor, (4, 6, 8): -99.0}
        state = beams(settings, running, finished)
        assert agreed_tokens(state, settings, known=1) == agreed
    rising = settings_of(num_beams=2, length_penalty=length_penalty, sequence_bias={(5,): 0.1})
    assert agreed_tokens(state, rising, known=1) == (4,)
    falling = settings_of(num_beams=2, length_penalty=length_penalty, sequence_bias={(5,): -0.1})
    assert agreed_tokens(state, falling, known=1) == (4, 5, EOS)
    decaying = settings_of(num_beams=2, exponential_decay_length_penalty=(2, 1.1))
    assert agreed_tokens(state, decaying, known=1) == (4,)


def test_where_nothing_is_possible_nothing_is_certain() -> None:
    settings = settings_of(num_beams=2)
    assert agreed_tokens(beams(settings, {}), settings, known=1) == ()


def samples(settings: SearchSettings, rows: list[tuple[tuple[int, ...], float]]) -> SampleState:
    """Rows with the sums of their log-probabilities; those with EOS are done."""
    state = sampling.initial_samples(np.array([[START]]), settings)
    sequences, lengths = state.sequences.copy(), state.lengths.copy()
    for row, (tokens, _) in enumerate(rows):
        sequences[row, 1 : 1 + len(tokens)], lengths[row] = tokens, 1 + len(tokens)
    return replace(
        state,
        length=int(lengths.max()),
        sequences=sequences,
        lengths=lengths,
        log_probs=np.array([score for _, score in rows], np.float32),
        done=np.array([EOS in tokens for tokens, _ in rows]),
    )


def test_of_samples_those_count_that_may_come_out_best() -> None:
    options = {"do_sample": True, "num_return_sequences": 3, "length_penalty": 1.0}
    settings = settings_of(num_beams=1, **options)
    first, second = ((4, 5, 6), -1.0), ((4, 5, 7), -2.0)
    assert agreed_tokens(samples(settings, [first, second, ((4, 8, 9), -9.0)]), settings, 1) == (4,)
    # One that may end with 9 tokens scores -1 at best; of equal ones the first row is first.
    done = ((4, 5, EOS), -3.0)
    lower = samples(settings, [first, done, ((4, 8, 9), -9.1)])
    assert agreed_tokens(lower, settings, 1) == (4, 5)
    equal = samples(settings, [first, ((4, 8, 9), -9.0), done])
    assert agreed_tokens(equal, settings, 1) == (4,)
    worse = samples(settings, [done, ((4, 8, EOS), -3.1), first])
    assert agreed_tokens(worse, settings, 1) == (4, 5)
