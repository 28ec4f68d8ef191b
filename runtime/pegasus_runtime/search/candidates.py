"""From the model's scores to the best continuations of each row, fetching as little as possible.

A step without processors needs the C best tokens per row, which the engine selects. Bans do not
look at scores: with M of them, the best C of the C + M best remain exact. A forced token needs no
scores at all. Only the repetition penalty, sampling and long ban lists take all V of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.candidates import Candidates, select_top
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import EngineError
from pegasus_runtime.search.processors import (
    Scores,
    SourceNgrams,
    Tokens,
    ban_tokens,
    collect_bans,
    force_tokens,
    forced_tokens,
    penalize_repetition,
)
from pegasus_runtime.search.settings import SearchSettings

__all__ = [
    "StepPlan",
    "full_log_probs",
    "plan_step",
    "process_scores",
    "top_candidates",
]

_MAX_DROPPED = 128  # more bans than this per row: fetch everything rather than sort so deep


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepPlan:
    """What the processors will do at this step, and what must be asked of the engine for it."""

    history: npt.NDArray[np.int64]
    """[N, L] the rows so far, start token included."""
    forced: tuple[int, ...]
    """The only possible tokens: then no score is looked at."""
    bans: npt.NDArray[np.int64]
    """[N, M] impossible tokens, -1 where a row has fewer."""
    num_candidates: int
    """How many of the best tokens per row the engine must select."""
    full: bool
    """Whether all log-probabilities are needed."""


def plan_step(
    history: Tokens, sources: Sequence[SourceNgrams], settings: SearchSettings
) -> StepPlan:
    """Says what the step after these rows [N, L] needs; `sources` holds one entry per document."""
    vocab_size = settings.vocab_size
    wanted = min(settings.num_candidates, vocab_size)
    forced = forced_tokens(history.shape[1], settings)
    if forced:
        no_bans = np.empty((len(history), 0), np.int64)
        return StepPlan(
            history=history, forced=forced, bans=no_bans, num_candidates=wanted, full=False
        )
    bans = collect_bans(history, sources, settings)
    num_bans = bans.shape[1]
    full = (
        settings.repetition_penalty != 1.0
        or settings.do_sample
        or num_bans > min(_MAX_DROPPED, vocab_size - wanted)
    )
    num_candidates = wanted if full else wanted + num_bans
    return StepPlan(history=history, forced=(), bans=bans, num_candidates=num_candidates, full=full)


def process_scores(scores: Scores, plan: StepPlan, settings: SearchSettings) -> Scores:
    """Applies all processors to scores [N, V]."""
    if plan.forced:
        return force_tokens(scores, plan.forced)
    if settings.repetition_penalty != 1.0:
        scores = penalize_repetition(scores, plan.history, settings.repetition_penalty)
    return ban_tokens(scores, plan.bans) if plan.bans.shape[1] else scores


def top_candidates(
    plan: StepPlan, scores: StepScores | None, settings: SearchSettings
) -> Candidates:
    """The best C continuations of each row; `scores` may be None at a forced step."""
    wanted = min(settings.num_candidates, settings.vocab_size)
    if plan.forced:
        return _forced_candidates(plan, wanted)
    if scores is None:
        raise EngineError("a step that forces no token has no scores: run the engine for it")
    if plan.full:
        return select_top(process_scores(full_log_probs(scores), plan, settings), wanted)
    return _drop_banned(scores, plan, wanted)


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
