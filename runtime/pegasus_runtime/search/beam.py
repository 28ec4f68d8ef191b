"""Beam search exactly as transformers 5.23 does it (generation/utils.py, `_beam_search`), in fp32.

Two differences, both on purpose. A document leaves the batch when its own search would have
stopped, so a batch gives what its documents give alone. Equal scores are taken in the order of
beam * V + token, which torch.topk leaves open.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.candidates import Candidates
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.score import Hypothesis, length_divisor, penalize_length
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState

__all__ = [
    "Continuations",
    "finalize",
    "first_finished",
    "initial_state",
    "is_real",
    "rank_candidates",
    "row_history",
    "row_inputs",
    "step",
]

_Scalar = TypeVar("_Scalar", bound=np.generic)

_NEVER = np.float32(-1e9)
"""Added to, or in place of, the score of what must not be chosen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Continuations:
    """C continuations of each document: the best, best first, or those drawn, in that order."""

    scores: npt.NDArray[np.float32]
    """[B, C] summed over the row, the new token's included."""
    token_scores: npt.NDArray[np.float32]
    """[B, C] the new token's alone."""
    parents: npt.NDArray[np.int64]
    """[B, C] the row that each continues."""
    tokens: npt.NDArray[np.int64]
    """[B, C]"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Extended:
    """The rows that the continuations make, in their order."""

    sequences: npt.NDArray[np.int64]  # [B, C, T]
    token_scores: npt.NDArray[np.float32]  # [B, C, T or 0]
    scores: npt.NDArray[np.float32]  # [B, C]
    parents: npt.NDArray[np.int64]  # [B, C]
    ends: npt.NDArray[np.bool_]  # [B, C] EOS, or max_length reached


def initial_state(starts: npt.NDArray[np.int64], settings: SearchSettings) -> BeamState:
    """One real row per document, and K-1 that no continuation is taken from; starts: [B, P]."""
    num_documents = len(starts)
    shape = (num_documents, settings.num_beams)
    sequences = np.full((*shape, settings.max_length), settings.tokens.pad, np.int64)
    sequences[:, :, : settings.prompt_length] = starts[:, None]
    token_scores = np.zeros(
        (*shape, settings.max_length if settings.token_scores else 0), np.float32
    )
    scores = np.full(shape, _NEVER, np.float32)
    scores[:, 0] = 0.0
    return BeamState(
        length=settings.prompt_length,
        documents=np.arange(num_documents),
        sequences=sequences,
        scores=scores,
        parents=np.zeros(shape, np.int64),
        finished_sequences=sequences,
        finished_lengths=np.full(shape, settings.prompt_length, np.int64),
        finished_scores=np.full(shape, _NEVER, np.float32),
        is_finished=np.zeros(shape, np.bool_),
        token_scores=token_scores,
        finished_token_scores=token_scores,
        done=np.zeros(num_documents, np.bool_),
    )


def row_history(state: BeamState, settings: SearchSettings) -> npt.NDArray[np.int64]:
    """The rows of the next model call, [B, L] at the first and [B*K, L] after."""
    is_first = state.length == settings.first_length
    rows = state.sequences[:, : 1 if is_first else None, : state.length]
    return rows.reshape(-1, state.length)  # [B, K, L] -> [B*K, L]


def row_inputs(
    state: BeamState, settings: SearchSettings
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
    """Tokens and parents of the next model call."""
    tokens = row_history(state, settings)[:, -1]
    return tokens, None if state.length == settings.first_length else state.parents


def step(state: BeamState, continuations: Continuations, settings: SearchSettings) -> BeamState:
    """Extends every row by a token. No document of the state may be done."""
    extended = _extend(state, continuations, settings)
    running = _keep_running(state, extended, settings)
    finished = _keep_finished(running, extended, settings)
    return _check_done(finished, extended, settings)


def rank_candidates(
    state: BeamState, candidates: Candidates, settings: SearchSettings
) -> Continuations:
    """The C best continuations of each document, of the C best tokens of each of its rows."""
    batch_size, num_beams, _ = state.sequences.shape
    per_row = candidates.ids.shape[1]
    # At the first step the one row of a document stands for its K equal rows.
    ids = candidates.ids.reshape(batch_size, -1, per_row)  # [B*K, C] -> [B, K, C]
    ids = np.broadcast_to(ids, (batch_size, num_beams, per_row))
    own = candidates.scores.reshape(batch_size, -1, per_row)
    scores = own + state.scores[:, :, None]
    token_scores = np.broadcast_to(own, scores.shape).reshape(batch_size, -1)
    beams = np.arange(num_beams)[None, :, None]
    flat_index = (beams * settings.vocab_size + ids).reshape(batch_size, -1)
    scores = scores.reshape(batch_size, -1)  # [B, K, C] -> [B, K*C]
    order = np.lexsort((flat_index, -scores), axis=1)[:, : settings.num_candidates]
    parents, tokens = np.divmod(_gather(flat_index, order), settings.vocab_size)  # [B, C]
    return Continuations(
        scores=_gather(scores, order),
        token_scores=_gather(token_scores, order),
        parents=parents,
        tokens=tokens,
    )


def _extend(state: BeamState, found: Continuations, settings: SearchSettings) -> _Extended:
    sequences = _gather(state.sequences, found.parents)  # [B, K, T] -> [B, C, T]
    sequences[:, :, state.length] = found.tokens
    token_scores = _gather(state.token_scores, found.parents)
    if settings.token_scores:
        token_scores[:, :, state.length] = found.token_scores
    return _Extended(
        sequences=sequences,
        token_scores=token_scores,
        scores=found.scores,
        parents=found.parents,
        ends=np.isin(found.tokens, settings.tokens.eos) | (state.length + 1 >= settings.max_length),
    )


def _keep_running(state: BeamState, extended: _Extended, settings: SearchSettings) -> BeamState:
    scores = _rule_out(extended.scores, extended.ends)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : settings.num_beams]  # [B, K]
    # After the first call of the model there is one row per document to continue.
    is_first = state.length == settings.first_length
    parents = np.zeros_like(best) if is_first else _gather(extended.parents, best)
    return replace(
        state,
        length=state.length + 1,
        sequences=_gather(extended.sequences, best),
        scores=_gather(scores, best),
        token_scores=_gather(extended.token_scores, best),
        parents=parents,
    )


def _keep_finished(state: BeamState, extended: _Extended, settings: SearchSettings) -> BeamState:
    """Merges rows that ended now into the K best finished ones; `state.length` counts the token."""
    generated = state.length - settings.prompt_length
    scores = penalize_length(extended.scores, generated, settings.length_penalty)
    # Only the K best continuations may finish: the others are there to keep K rows running.
    ended = extended.ends & (np.arange(extended.ends.shape[1]) < settings.num_beams)
    scores = np.concatenate([state.finished_scores, _rule_out(scores, ~ended)], axis=1)  # [B, K+C]
    best = np.argsort(-scores, axis=1, kind="stable")[:, : settings.num_beams]  # [B, K]
    sequences = np.concatenate([state.finished_sequences, extended.sequences], axis=1)
    lengths = np.concatenate(
        [state.finished_lengths, np.full_like(extended.parents, state.length)], axis=1
    )
    token_scores = np.concatenate([state.finished_token_scores, extended.token_scores], axis=1)
    is_finished = np.concatenate([state.is_finished, ended], axis=1)
    return replace(
        state,
        finished_sequences=_gather(sequences, best),
        finished_lengths=_gather(lengths, best),
        finished_scores=_gather(scores, best),
        finished_token_scores=_gather(token_scores, best),
        is_finished=_gather(is_finished, best),
    )


def _check_done(state: BeamState, extended: _Extended, settings: SearchSettings) -> BeamState:
    """Decides which documents cannot improve any more, or need not."""
    reachable = state.length
    if settings.early_stopping == "never" and settings.length_penalty > 0:
        reachable = settings.max_length
    best_running = penalize_length(
        state.scores[:, :1], reachable - settings.prompt_length, settings.length_penalty
    )
    worst_finished = np.where(
        state.is_finished, state.finished_scores.min(axis=1, keepdims=True), _NEVER
    )
    improvable = (best_running > worst_finished).any(axis=1)
    satisfied = state.is_finished.all(axis=1) & (settings.early_stopping is True)
    return replace(state, done=np.asarray(~improvable | satisfied | extended.ends.all(axis=1)))


def _rule_out(
    scores: npt.NDArray[np.float32], where: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    return np.where(where, scores + _NEVER, scores)


def _gather(array: npt.NDArray[_Scalar], index: npt.NDArray[np.int64]) -> npt.NDArray[_Scalar]:
    """Takes from each document its own entries: [B, X, ...] by [B, Y] -> [B, Y, ...]."""
    return array[np.arange(len(array))[:, None], index]  # quicker than take_along_axis


def finalize(state: BeamState, settings: SearchSettings) -> list[list[Hypothesis]]:
    """The best finished rows of each document, best first.

    At most num_return_sequences: fewer where the options leave fewer sequences possible, which
    transformers fills up with rows that stand for none. Raises OptionsError where they leave none.
    """
    returned = []
    for document in range(len(state.done)):
        hypotheses = [
            _hypothesis(state, document, row, settings)
            for row in range(settings.num_beams)
            if state.is_finished[document, row]
            and not _stands_for_none(state, document, row, settings)
        ]
        if not hypotheses:
            raise OptionsError(
                "a document has no possible summary under these options: "
                "ban fewer tokens, or raise a negative length_penalty"
            )
        returned.append(hypotheses[: settings.num_return_sequences])
    return returned


def is_real(state: BeamState) -> npt.NDArray[np.bool_]:
    """[B, K] whether a running row stands for one, unless its score has risen since."""
    return state.scores > _NEVER


def first_finished(state: BeamState, document: int, settings: SearchSettings) -> int | None:
    """The row of the best finished hypothesis of a document, if there is one."""
    for row in range(settings.num_beams):
        if not state.is_finished[document, row]:
            continue
        if not _stands_for_none(state, document, row, settings):
            return row
    return None


def _hypothesis(state: BeamState, document: int, row: int, settings: SearchSettings) -> Hypothesis:
    length = state.finished_lengths[document, row]
    generated = slice(settings.prompt_length, length)
    scores = state.finished_token_scores[document, row, generated]
    tokens = state.finished_sequences[document, row, settings.first_length : length]
    return Hypothesis(
        token_ids=tuple(tokens.tolist()),
        score=float(state.finished_scores[document, row]),
        token_scores=tuple(scores.tolist()) if settings.token_scores else None,
    )


def _stands_for_none(state: BeamState, document: int, row: int, settings: SearchSettings) -> bool:
    """Whether a finished row goes back to one of the K-1 rows that were none at the start."""
    generated = int(state.finished_lengths[document, row]) - settings.prompt_length
    score = float(state.finished_scores[document, row])
    log_prob = score * float(length_divisor(generated, settings.length_penalty))
    return bool(log_prob < float(_NEVER) / 2)
