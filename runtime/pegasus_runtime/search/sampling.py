"""Greedy search and sampling (one beam), as transformers 5.23 does them (`_sample`).

Both work on raw logits, whereas beam search works on log-probabilities. Which tokens may be drawn,
and how likely each is, is transformers'; the random numbers are our own: each row has a generator
seeded by the seed, its document and its number, so that no row depends on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import EngineError, OptionsError
from pegasus_runtime.search.candidates import (
    StepPlan,
    full_log_probs,
    process_scores,
    top_candidates,
)
from pegasus_runtime.search.processors import Scores, Tokens
from pegasus_runtime.search.score import Hypothesis, penalize_length
from pegasus_runtime.search.settings import PROMPT_LENGTH, SearchSettings
from pegasus_runtime.search.state import SampleState

__all__ = [
    "Choice",
    "append_tokens",
    "choose_tokens",
    "finalize_samples",
    "initial_samples",
    "keep_top_k",
    "keep_top_p",
    "sample_history",
    "sample_inputs",
    "seed_generators",
    "warp_logits",
]

Choice = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""The next token of each of N rows, and the model's log-probability of it (0 if forced)."""


def seed_generators(
    sources: Sequence[Sequence[int]], settings: SearchSettings
) -> list[np.random.Generator]:
    """One generator per row. With a seed, equal documents draw equal samples, wherever they are."""
    seeds = []
    for document, source in enumerate(sources):
        for row in range(settings.rows_per_document):
            if settings.seed is None:
                seeds.append(np.random.SeedSequence(spawn_key=(document, row)))
            else:
                seeds.append(np.random.SeedSequence([settings.seed, row, *source]))
    return [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]


def initial_samples(num_documents: int, settings: SearchSettings) -> SampleState:
    """R rows per document that hold the start token."""
    num_rows = num_documents * settings.rows_per_document
    sequences = np.full((num_rows, settings.max_length), settings.tokens.pad, np.int64)
    sequences[:, 0] = settings.tokens.decoder_start
    return SampleState(
        length=PROMPT_LENGTH,
        documents=np.arange(num_documents),
        sequences=sequences,
        lengths=np.full(num_rows, PROMPT_LENGTH, np.int64),
        log_probs=np.zeros(num_rows, np.float32),
        done=np.zeros(num_rows, np.bool_),
    )


def sample_history(state: SampleState, settings: SearchSettings) -> Tokens:
    """The rows of the next model call, [B, L] at first and [B*R, L] after."""
    every = settings.rows_per_document if state.length == PROMPT_LENGTH else 1
    return state.sequences[::every, : state.length]


def sample_inputs(state: SampleState, settings: SearchSettings) -> tuple[Tokens, Tokens | None]:
    """Tokens and parents of the next model call."""
    tokens = sample_history(state, settings)[:, -1]
    if state.length == PROMPT_LENGTH:
        return tokens, None
    shape = (-1, settings.rows_per_document)
    if state.length == PROMPT_LENGTH + 1:
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
    if not plan.full and not settings.do_sample:
        best = top_candidates(plan, scores, settings)
        _check_possible(best.scores[~state.done, 0])
        return best.ids[:, 0], best.scores[:, 0]
    rows_per_call = len(state.done) // len(plan.history)  # R at the first step, 1 after
    logits = np.repeat(_processed_logits(plan, scores, settings), rows_per_call, axis=0)
    _check_possible(logits[~state.done].max(axis=1))
    if settings.do_sample:
        tokens = _draw_tokens(warp_logits(logits, settings), state.done, generators)
    else:
        tokens = logits.argmax(axis=1)
    if plan.forced or scores is None:
        return tokens, np.zeros(len(tokens), np.float32)
    log_probs = np.repeat(full_log_probs(scores), rows_per_call, axis=0)
    return tokens, np.take_along_axis(log_probs, tokens[:, None], axis=1)[:, 0]


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


def _check_possible(best_scores: Scores) -> None:
    if np.isneginf(best_scores).any():
        raise OptionsError("no token may follow a row under these options: ban fewer tokens")


def warp_logits(logits: Scores, settings: SearchSettings) -> Scores:
    """Temperature, top_k and top_p, in that order."""
    logits = logits / np.float32(settings.temperature)
    if settings.top_k > 0:
        logits = keep_top_k(logits, settings.top_k)
    return keep_top_p(logits, settings.top_p) if settings.top_p < 1.0 else logits


def keep_top_k(logits: Scores, top_k: int) -> Scores:
    """Sets all but the k largest logits [N, V] to -inf; those equal to the k-th stay."""
    top_k = min(top_k, logits.shape[1])
    threshold = -np.partition(-logits, top_k - 1, axis=1)[:, top_k - 1 : top_k]
    return np.where(logits < threshold, np.float32(-np.inf), logits)


def keep_top_p(logits: Scores, top_p: float) -> Scores:
    """Sets all but the most likely tokens that together have top_p to -inf; one always stays."""
    order = np.argsort(logits, axis=1, kind="stable")  # ascending
    ascending = np.take_along_axis(logits, order, axis=1)
    weights = np.exp(ascending - ascending[:, -1:])
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    removed = cumulative <= 1.0 - top_p
    removed[:, -1] = False
    warped = logits.copy()
    np.put_along_axis(warped, order, np.where(removed, np.float32(-np.inf), ascending), axis=1)
    return warped


def _draw_tokens(
    logits: Scores, done: npt.NDArray[np.bool_], generators: Sequence[np.random.Generator]
) -> Tokens:
    """Draws a token per row by inverting the cumulative distribution; 0 for rows that are done."""
    tokens = np.zeros(len(logits), np.int64)
    for row in np.flatnonzero(~done).tolist():
        possible = np.flatnonzero(np.isfinite(logits[row]))
        weights = np.exp((logits[row, possible] - logits[row].max()).astype(np.float64))
        cumulative = np.cumsum(weights)
        drawn = np.searchsorted(cumulative, generators[row].random() * cumulative[-1], side="right")
        tokens[row] = possible[min(int(drawn), len(possible) - 1)]
    return tokens


def append_tokens(state: SampleState, choice: Choice, settings: SearchSettings) -> SampleState:
    """Appends a token to every row that is not done, and padding to the others."""
    rows_per_call = len(state.done) // len(choice[0])  # greedy has one row per document throughout
    tokens = np.repeat(choice[0], rows_per_call)
    log_probs = np.repeat(choice[1], rows_per_call)
    length = state.length + 1
    sequences = state.sequences.copy()
    sequences[:, state.length] = np.where(state.done, settings.tokens.pad, tokens)
    ended = np.isin(tokens, settings.tokens.eos) | (length >= settings.max_length)
    return SampleState(
        length=length,
        documents=state.documents,
        sequences=sequences,
        lengths=np.where(state.done, state.lengths, length),
        log_probs=np.where(state.done, state.log_probs, state.log_probs + log_probs),
        done=state.done | ended,
    )


def finalize_samples(state: SampleState, settings: SearchSettings) -> list[list[Hypothesis]]:
    """The rows of each document, best first."""
    generated = state.lengths - PROMPT_LENGTH
    scores = penalize_length(state.log_probs, generated, settings.length_penalty)
    hypotheses = [
        Hypothesis(token_ids=tuple(row[PROMPT_LENGTH:length].tolist()), score=float(score))
        for row, length, score in zip(state.sequences, state.lengths, scores, strict=True)
    ]
    step = settings.rows_per_document
    return [
        sorted(hypotheses[start : start + step], key=lambda found: -found.score)
        for start in range(0, len(hypotheses), step)
    ]
