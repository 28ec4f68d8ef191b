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
from pegasus_runtime.search.score import Hypothesis, penalize_length
from pegasus_runtime.search.settings import PROMPT_LENGTH, SearchSettings
from pegasus_runtime.search.state import BeamState

__all__ = ["finalize", "initial_state", "row_history", "row_inputs", "step"]

_Scalar = TypeVar("_Scalar", bound=np.generic)

_NEVER = np.float32(-1e9)
"""Added to, or in place of, the score of what must not be chosen."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ranked:
    """The C best continuations of each document, best first."""

    sequences: npt.NDArray[np.int64]  # [B, C, T]
    scores: npt.NDArray[np.float32]  # [B, C]
    parents: npt.NDArray[np.int64]  # [B, C]
    ends: npt.NDArray[np.bool_]  # [B, C] EOS, or max_length reached


def initial_state(num_documents: int, settings: SearchSettings) -> BeamState:
    """One real row per document, and K-1 that no continuation is taken from."""
    shape = (num_documents, settings.num_beams)
    sequences = np.full((*shape, settings.max_length), settings.tokens.pad, np.int64)
    sequences[:, :, 0] = settings.tokens.decoder_start
    scores = np.full(shape, _NEVER, np.float32)
    scores[:, 0] = 0.0
    return BeamState(
        length=PROMPT_LENGTH,
        documents=np.arange(num_documents),
        sequences=sequences,
        scores=scores,
        parents=np.zeros(shape, np.int64),
        finished_sequences=sequences,
        finished_lengths=np.full(shape, PROMPT_LENGTH, np.int64),
        finished_scores=np.full(shape, _NEVER, np.float32),
        is_finished=np.zeros(shape, np.bool_),
        done=np.zeros(num_documents, np.bool_),
    )


def row_history(state: BeamState) -> npt.NDArray[np.int64]:
    """The rows of the next model call, [B, L] at first and [B*K, L] after."""
    rows = state.sequences[:, : 1 if state.length == PROMPT_LENGTH else None, : state.length]
    return rows.reshape(-1, state.length)  # [B, K, L] -> [B*K, L]


def row_inputs(
    state: BeamState,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
    """Tokens and parents of the next model call."""
    tokens = row_history(state)[:, -1]
    return tokens, None if state.length == PROMPT_LENGTH else state.parents


def step(state: BeamState, candidates: Candidates, settings: SearchSettings) -> BeamState:
    """Extends every row by a token; `candidates` hold the C best tokens of each row.

    No document of the state may be done.
    """
    ranked = _rank_continuations(state, candidates, settings)
    running = _keep_running(state, ranked, settings)
    finished = _keep_finished(running, ranked, settings)
    return _check_done(finished, ranked, settings)


def _rank_continuations(
    state: BeamState, candidates: Candidates, settings: SearchSettings
) -> _Ranked:
    batch_size, num_beams, _ = state.sequences.shape
    per_row = candidates.ids.shape[1]
    # At the first step the one row of a document stands for its K equal rows.
    ids = candidates.ids.reshape(batch_size, -1, per_row)  # [B*K, C] -> [B, K, C]
    ids = np.broadcast_to(ids, (batch_size, num_beams, per_row))
    scores = candidates.scores.reshape(batch_size, -1, per_row) + state.scores[:, :, None]
    beams = np.arange(num_beams)[None, :, None]
    flat_index = (beams * settings.vocab_size + ids).reshape(batch_size, -1)
    scores = scores.reshape(batch_size, -1)  # [B, K, C] -> [B, K*C]
    order = np.lexsort((flat_index, -scores), axis=1)[:, : settings.num_candidates]
    flat_index = _gather(flat_index, order)  # [B, K*C] -> [B, C]
    parents, tokens = np.divmod(flat_index, settings.vocab_size)
    sequences = _gather(state.sequences, parents)  # [B, K, T] -> [B, C, T]
    sequences[:, :, state.length] = tokens
    return _Ranked(
        sequences=sequences,
        scores=_gather(scores, order),
        parents=parents,
        ends=np.isin(tokens, settings.tokens.eos) | (state.length + 1 >= settings.max_length),
    )


def _keep_running(state: BeamState, ranked: _Ranked, settings: SearchSettings) -> BeamState:
    scores = _rule_out(ranked.scores, ranked.ends)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : settings.num_beams]  # [B, K]
    first = state.length == PROMPT_LENGTH
    parents = np.zeros_like(best) if first else _gather(ranked.parents, best)
    return replace(
        state,
        length=state.length + 1,
        sequences=_gather(ranked.sequences, best),
        scores=_gather(scores, best),
        parents=parents,
    )


def _keep_finished(state: BeamState, ranked: _Ranked, settings: SearchSettings) -> BeamState:
    """Merges rows that ended now into the K best finished ones; `state.length` counts the token."""
    scores = penalize_length(ranked.scores, state.length - PROMPT_LENGTH, settings.length_penalty)
    # Only the K best continuations may finish: the others are there to keep K rows running.
    ended = ranked.ends & (np.arange(ranked.ends.shape[1]) < settings.num_beams)
    scores = np.concatenate([state.finished_scores, _rule_out(scores, ~ended)], axis=1)  # [B, K+C]
    best = np.argsort(-scores, axis=1, kind="stable")[:, : settings.num_beams]  # [B, K]
    sequences = np.concatenate([state.finished_sequences, ranked.sequences], axis=1)
    lengths = np.concatenate(
        [state.finished_lengths, np.full_like(ranked.parents, state.length)], axis=1
    )
    is_finished = np.concatenate([state.is_finished, ended], axis=1)
    return replace(
        state,
        finished_sequences=_gather(sequences, best),
        finished_lengths=_gather(lengths, best),
        finished_scores=_gather(scores, best),
        is_finished=_gather(is_finished, best),
    )


def _check_done(state: BeamState, ranked: _Ranked, settings: SearchSettings) -> BeamState:
    """Decides which documents cannot improve any more, or need not."""
    reachable = state.length
    if settings.early_stopping == "never" and settings.length_penalty > 0:
        reachable = settings.max_length
    best_running = penalize_length(
        state.scores[:, :1], reachable - PROMPT_LENGTH, settings.length_penalty
    )
    worst_finished = np.where(
        state.is_finished, state.finished_scores.min(axis=1, keepdims=True), _NEVER
    )
    improvable = (best_running > worst_finished).any(axis=1)
    satisfied = state.is_finished.all(axis=1) & (settings.early_stopping is True)
    return replace(state, done=np.asarray(~improvable | satisfied | ranked.ends.all(axis=1)))


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
            Hypothesis(token_ids=tuple(sequence[PROMPT_LENGTH:length]), score=score)
            for sequence, length, score, finished in zip(
                state.finished_sequences[document].tolist(),
                state.finished_lengths[document].tolist(),
                state.finished_scores[document].tolist(),
                state.is_finished[document].tolist(),
                strict=True,
            )
            if finished and not _stands_for_none(score, length, settings)
        ]
        if not hypotheses:
            raise OptionsError(
                "a document has no possible summary under these options: "
                "ban fewer tokens, or raise a negative length_penalty"
            )
        returned.append(hypotheses[: settings.num_return_sequences])
    return returned


def _stands_for_none(score: float, length: int, settings: SearchSettings) -> bool:
    """Whether a finished row goes back to one of the K-1 rows that were none at the start."""
    log_prob: float = score * (length - PROMPT_LENGTH) ** settings.length_penalty
    return log_prob < float(_NEVER) / 2
