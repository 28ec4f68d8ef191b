"""From the model's scores to the best continuations of each row, fetching as little as possible.

A step without processors needs the C best tokens per row, which the engine selects. Bans do not
look at scores: with M of them, the best C of the C + M best remain exact. A forced token needs no
scores at all. Penalties, sampling and long ban lists take all V of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.candidates import Candidates, select_top
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import EngineError
from pegasus_runtime.search.penalties import (
    add_biases,
    favour_end,
    favour_source,
    normalize,
    penalize_repetition,
    replace_invalid,
)
from pegasus_runtime.search.processors import (
    Scores,
    Tokens,
    ban_tokens,
    collect_bans,
    force_tokens,
    forced_tokens,
    suppressed_tokens,
)
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.sources import Source
from pegasus_runtime.search.warpers import warp_scores

__all__ = [
    "StepPlan",
    "full_log_probs",
    "plan_step",
    "process_scores",
    "processed_log_probs",
    "top_candidates",
]

_MAX_DROPPED = 128  # more bans than this per row: fetch everything rather than sort so deep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepPlan:
    """What the processors will do at this step, and what must be asked of the engine for it."""

    history: npt.NDArray[np.int64]
    """[N, L] the rows so far, start token included."""
    sources: Sequence[Source]
    """One entry per document."""
    forced: tuple[int, ...]
    """The only possible tokens: then no score is looked at."""
    bans: npt.NDArray[np.int64]
    """[N, M] impossible tokens, -1 where a row has fewer."""
    num_candidates: int
    """How many of the best tokens per row the engine must select."""
    full: bool
    """Whether all log-probabilities are needed."""


def plan_step(history: Tokens, sources: Sequence[Source], settings: SearchSettings) -> StepPlan:
    """Says what the step after these rows [N, L] needs; `sources` holds one entry per document."""
    vocab_size = settings.vocab_size
    wanted = min(settings.num_candidates, vocab_size)
    forced = forced_tokens(history.shape[1], settings)
    if forced:
        no_bans = np.empty((len(history), 0), np.int64)
        return StepPlan(
            history=history,
            sources=sources,
            forced=forced,
            bans=no_bans,
            num_candidates=wanted,
            full=False,
        )
    bans = collect_bans(history, sources, settings)
    num_bans = bans.shape[1]
    full = (
        settings.looks_at_scores
        or (settings.token_scores and settings.num_beams == 1)  # which are normalised over all
        or num_bans > min(_MAX_DROPPED, vocab_size - wanted)
    )
    return StepPlan(
        history=history,
        sources=sources,
        forced=(),
        bans=bans,
        num_candidates=wanted if full else wanted + num_bans,
        full=full,
    )


def process_scores(scores: Scores, plan: StepPlan, settings: SearchSettings) -> Scores:
    """Applies all processors, and the warpers where tokens are drawn, to scores [N, V]."""
    if plan.forced:
        scores = force_tokens(scores, plan.forced)
    else:
        scores = _penalize(scores, plan, settings)
        scores = ban_tokens(scores, plan.bans) if plan.bans.shape[1] else scores
    if settings.changes_forced:
        scores = _change_forced(scores, plan, settings)
    if settings.do_sample:
        scores = warp_scores(scores, settings)
    return normalize(scores) if settings.renormalize_logits else scores


def _penalize(scores: Scores, plan: StepPlan, settings: SearchSettings) -> Scores:
    if settings.sequence_bias:
        scores = add_biases(scores, plan.history, settings.sequence_bias)
    if settings.encoder_repetition_penalty != 1.0:
        scores = favour_source(scores, plan.sources, settings.encoder_repetition_penalty)
    if settings.repetition_penalty != 1.0:
        scores = penalize_repetition(scores, plan.history, settings.repetition_penalty)
    return scores


def _change_forced(scores: Scores, plan: StepPlan, settings: SearchSettings) -> Scores:
    """What comes between forced and suppressed tokens; the latter stay impossible."""
    length = plan.history.shape[1]
    if settings.remove_invalid_values:
        scores = replace_invalid(scores)
    if settings.exponential_decay is not None:
        start, factor = settings.exponential_decay
        if length > start:
            scores = favour_end(scores, settings.tokens.eos, factor, length - start)
    suppressed = np.array([suppressed_tokens(length, settings)], np.int64)
    return ban_tokens(scores, np.repeat(suppressed, len(scores), axis=0))


def processed_log_probs(
    plan: StepPlan, scores: StepScores | None, settings: SearchSettings
) -> Scores:
    """[N, V] what beam search chooses by; `scores` may be None at a forced step."""
    if plan.forced:
        scores_before = np.zeros((len(plan.history), settings.vocab_size), np.float32)
    else:
        scores_before = full_log_probs(_needed(scores))
    return process_scores(scores_before, plan, settings)


def top_candidates(
    plan: StepPlan, scores: StepScores | None, settings: SearchSettings
) -> Candidates:
    """The best C continuations of each row; `scores` may be None at a forced step."""
    wanted = min(settings.num_candidates, settings.vocab_size)
    if plan.full or (plan.forced and settings.changes_forced):
        return select_top(processed_log_probs(plan, scores, settings), wanted)
    if plan.forced:
        return _forced_candidates(plan, wanted)
    return _drop_banned(_needed(scores), plan, wanted)


def _needed(scores: StepScores | None) -> StepScores:
    if scores is None:
        raise EngineError("a step that forces no token has no scores: run the engine for it")
    return scores


def full_log_probs(scores: StepScores) -> Scores:
    """All log-probabilities, which the step asked for."""
    if scores.log_probs is None:
        raise EngineError(
            "the engine returned no log_probs to a step that asked for full scores: "
            "export the bundle with its log_probs output"
        )
    return scores.log_probs


def _drop_banned(scores: StepScores, plan: StepPlan, wanted: int) -> Candidates:
    if scores.top_ids.shape[1] < plan.num_candidates:
        raise EngineError(
            f"the engine returned {scores.top_ids.shape[1]} candidates per row, "
            f"expected {plan.num_candidates}: report this"
        )
    if plan.bans.shape[1] == 0:
        return Candidates(scores=scores.top_scores[:, :wanted], ids=scores.top_ids[:, :wanted])
    is_banned = (scores.top_ids[:, :, None] == plan.bans[:, None, :]).any(axis=2)  # [N, C+M]
    kept = np.argsort(is_banned, axis=1, kind="stable")[:, :wanted]
    return Candidates(
        scores=np.take_along_axis(scores.top_scores, kept, axis=1),
        ids=np.take_along_axis(scores.top_ids, kept, axis=1),
    )


def _forced_candidates(plan: StepPlan, wanted: int) -> Candidates:
    """The forced tokens at 0, then the lowest other ids at -inf."""
    forced = plan.forced[:wanted]
    others = [token for token in range(wanted + len(plan.forced)) if token not in plan.forced]
    ids = [*forced, *others[: wanted - len(forced)]]
    scores = np.where(np.arange(wanted) < len(forced), 0.0, -np.inf).astype(np.float32)
    shape = (len(plan.history), wanted)
    return Candidates(
        scores=np.broadcast_to(scores, shape), ids=np.broadcast_to(np.array(ids, np.int64), shape)
    )
