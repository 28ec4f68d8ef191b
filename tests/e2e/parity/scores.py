"""How far scores may be from transformers': as far as its own are where roundings fall otherwise.

Random weights are sharp, and penalties and a low temperature sharpen what they give, so that
rounding alone moves some scores by more than a tolerance for all. How much it does there a single
run of transformers cannot tell: of two runs that round alike, one is by chance five times as far
from float64 as the other in one of eleven documents. So it is asked again with every result
rounded once more at random, as an export is judged (`pegasus_export.verify`), and the worst run
counts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from pegasus_export.verify.arithmetic import Jittered
from pegasus_export.verify.measure import TOLERANCES
from pegasus_runtime import Hypothesis

__all__ = ["Sequences", "is_within_rounding", "score_error"]

Sequences = list[tuple[tuple[int, ...], float]]
"""Tokens and score of each; the score is NaN without beams."""

SCORE_TOLERANCE = 1e-4
ROUNDING = 2
"""Times the error of transformers' worst run."""
JITTERED_RUNS = 8
EPS = TOLERANCES["fp32"].eps
LARGEST = 1e-2
"""Nothing beyond is rounding."""


def score_error(own: list[Hypothesis], other: Sequences) -> float:
    """The largest among sequences that are the same, infinite where ours is NaN; greedy search has
    no score in transformers."""
    return _largest_error([(x.token_ids, x.score) for x in own], other)


def is_within_rounding(
    own: list[Hypothesis], theirs: Sequences, model: Any, ask: Callable[[Any], Sequences]
) -> bool:
    """Whether the scores of one document are right, as far as its sequences are the same.

    theirs: of `model`, in float32. ask: what transformers gives for that document, in the batch it
    is in, with a model.
    """
    if score_error(own, theirs) <= SCORE_TOLERANCE:
        return True
    exact = ask(copy.deepcopy(model).double())
    shared = {hypothesis.token_ids for hypothesis in own} & {tokens for tokens, _ in theirs}
    if not shared <= {tokens for tokens, score in exact if not np.isnan(score)}:
        return False  # nothing says what is right
    worst = _largest_error(theirs, exact)
    for seed in range(JITTERED_RUNS):
        with Jittered(EPS, seed):
            worst = max(worst, _largest_error(ask(model), exact))
    return score_error(own, exact) <= min(max(SCORE_TOLERANCE, ROUNDING * worst), LARGEST)


def _largest_error(found: Sequences, right: Sequences) -> float:
    """Sequences are matched by their tokens, as rounding may decide which of two comes first."""
    exact = {tokens: score for tokens, score in right if not np.isnan(score)}
    errors = [
        abs(score - exact[tokens]) / max(1.0, abs(exact[tokens]))
        for tokens, score in found
        if tokens in exact
    ]
    return max((np.inf if np.isnan(error) else error for error in errors), default=0.0)
