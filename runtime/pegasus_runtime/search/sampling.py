"""Greedy search and sampling (one beam), as transformers 5.23 does them (`_sample`).

Both work on raw logits, whereas beam search works on log-probabilities. Which tokens may be drawn,
and how likely each is, is transformers'; the random numbers are our own (`draws`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import EngineError
from pegasus_runtime.search.candidates import (
    StepPlan,
    full_log_probs,
    process_scores,
    top_candidates,
)
from pegasus_runtime.search.choice import check_possible
from pegasus_runtime.search.draws import draw_distinct, weigh
from pegasus_runtime.search.penalties import normalize
from pegasus_runtime.search.processors import Scores, Tokens
from pegasus_runtime.search.score import Hypothesis, penalize_length
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import SampleState

__all__ = [
    "Choice",
    "append_tokens",
    "choose_tokens",
    "finalize_samples",
    "initial_samples",
    "sample_history",
    "sample_inputs",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """The next token of each of N rows."""

    tokens: npt.NDArray[np.int64]
    log_probs: npt.NDArray[np.float32]
    """The model's own of it, 0 if it was forced."""
    token_scores: npt.NDArray[np.float32] | None = None
    """Its log-probability after processors and warpers, where it was asked for."""


def initial_samples(starts: Tokens, settings: SearchSettings) -> SampleState:
    """R rows per document that hold what they begin with; starts: [B, P]."""
    num_documents = len(starts)
    num_rows = num_documents * settings.rows_per_document
    sequences = np.full((num_rows, settings.max_length), settings.tokens.pad, np.int64)
    sequences[:, : settings.prompt_length] = np.repeat(starts, settings.rows_per_document, axis=0)
    scored = settings.max_length if settings.token_scores else 0
    return SampleState(
        length=settings.prompt_length,
        documents=np.arange(num_documents),
        sequences=sequences,
        lengths=np.full(num_rows, settings.prompt_length, np.int64),
        log_probs=np.zeros(num_rows, np.float32),
        token_scores=np.zeros((num_rows, scored), np.float32),
        done=np.zeros(num_rows, np.bool_),
    )


def sample_history(state: SampleState, settings: SearchSettings) -> Tokens:
    """The rows of the next model call, [B, L] at the first and [B*R, L] after."""
    every = settings.rows_per_document if state.length == settings.first_length else 1
    return state.sequences[::every, : state.length]


def sample_inputs(state: SampleState, settings: SearchSettings) -> tuple[Tokens, Tokens | None]:
    """Tokens and parents of the next model call."""
    tokens = sample_history(state, settings)[:, -1]
    if state.length == settings.first_length:
        return tokens, None
    shape = (-1, settings.rows_per_document)
    if state.length == settings.first_length + 1:
        return tokens, np.zeros_like(tokens).reshape(shape)  # [B*R] -> [B, R]
    return tokens, np.tile(np.arange(shape[1]), (len(tokens) // shape[1], 1))


def choose_tokens(
    state: SampleState,
    plan: StepPlan,
    scores: StepScores | None,
    generators: Sequence[np.random.Generator],
    settings: SearchSettings,
) -> Choice:
    """The next token of every row; `scores` may be None at a forced step."""
    if not plan.full and not settings.looks_at_scores and not settings.token_scores:
        best = top_candidates(plan, scores, settings)
        check_possible(best.scores[~state.done, 0])
        return Choice(tokens=best.ids[:, 0], log_probs=best.scores[:, 0])
    rows_per_call = len(state.done) // len(plan.history)  # R at the first step, 1 after
    logits = np.repeat(_processed_logits(plan, scores, settings), rows_per_call, axis=0)
    check_possible(logits[~state.done].max(axis=1))
    if settings.do_sample:
        tokens = _draw_tokens(logits, state.done, generators)
    else:
        tokens = logits.argmax(axis=1)
    token_scores = _take(normalize(logits), tokens) if settings.token_scores else None
    if plan.forced or scores is None:
        log_probs = np.zeros(len(tokens), np.float32)
    else:
        log_probs = _take(np.repeat(full_log_probs(scores), rows_per_call, axis=0), tokens)
    return Choice(tokens=tokens, log_probs=log_probs, token_scores=token_scores)


def _take(scores: Scores, tokens: Tokens) -> Scores:
    """Each row's score of its token: [N, V] by [N] -> [N]."""
    return np.take_along_axis(scores, tokens[:, None], axis=1)[:, 0]


def _processed_logits(
    plan: StepPlan, scores: StepScores | None, settings: SearchSettings
) -> Scores:
    if plan.forced or scores is None:
        nothing = np.zeros((len(plan.history), settings.vocab_size), np.float32)
        return process_scores(nothing, plan, settings)
    if scores.log_normalizer is None:
        raise EngineError(
            "the engine returned no log_normalizer to a step that asked for full scores: "
            "export the bundle with its log_normalizer output"
        )
    return process_scores(full_log_probs(scores) + scores.log_normalizer, plan, settings)


def _draw_tokens(
    logits: Scores, done: npt.NDArray[np.bool_], generators: Sequence[np.random.Generator]
) -> Tokens:
    """Draws a token per row by inverting the cumulative distribution; 0 for rows that are done."""
    tokens = np.zeros(len(logits), np.int64)
    for row in np.flatnonzero(~done).tolist():
        tokens[row] = draw_distinct(weigh(logits[row]), 1, generators[row])[0]
    return tokens


def append_tokens(state: SampleState, choice: Choice, settings: SearchSettings) -> SampleState:
    """Appends a token to every row that is not done, and padding to the others."""
    rows_per_call = len(state.done) // len(
        choice.tokens
    )  # greedy has one row per document throughout
    tokens = np.repeat(choice.tokens, rows_per_call)
    log_probs = np.repeat(choice.log_probs, rows_per_call)
    length = state.length + 1
    sequences = state.sequences.copy()
    sequences[:, state.length] = np.where(state.done, settings.tokens.pad, tokens)
    token_scores = state.token_scores
    if choice.token_scores is not None:
        token_scores = token_scores.copy()
        token_scores[:, state.length] = np.repeat(choice.token_scores, rows_per_call)
    ended = np.isin(tokens, settings.tokens.eos) | (length >= settings.max_length)
    return SampleState(
        length=length,
        documents=state.documents,
        sequences=sequences,
        lengths=np.where(state.done, state.lengths, length),
        log_probs=np.where(state.done, state.log_probs, state.log_probs + log_probs),
        token_scores=token_scores,
        done=state.done | ended,
    )


def finalize_samples(state: SampleState, settings: SearchSettings) -> list[list[Hypothesis]]:
    """The rows of each document, best first."""
    generated = state.lengths - settings.prompt_length
    scores = penalize_length(state.log_probs, generated, settings.length_penalty)
    hypotheses = [
        Hypothesis(
            token_ids=tuple(state.sequences[row, settings.first_length : length].tolist()),
            score=float(scores[row]),
            token_scores=(
                tuple(state.token_scores[row, settings.prompt_length : length].tolist())
                if settings.token_scores
                else None
            ),
        )
        for row, length in enumerate(state.lengths.tolist())
    ]
    step = settings.rows_per_document
    return [
        sorted(hypotheses[start : start + step], key=lambda found: -found.score)
        for start in range(0, len(hypotheses), step)
    ]
