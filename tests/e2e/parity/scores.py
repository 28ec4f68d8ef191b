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
from pegasus_runtime import Hypothesis

__all__ = ["Sequences", "is_within_rounding", "score_error"]

Sequences = list[tuple[tuple[int, ...], float]]
"""Tokens and score of each; the score is NaN without beams."""

SCORE_TOLERANCE = 1e-4
ROUNDING = 2
"""Times the error of transformers' worst run."""
JITTERED_RUNS = 8
EPS = 2.0**-24


def score_error(own: list[Hypothesis], other: Sequences) -> float:
    """The largest among sequences that are the same; greedy search has no score in transformers."""
    return _largest_error([(x.token_ids, x.score) for x in own], other)


def is_within_rounding(
    own: list[Hypothesis], theirs: Sequences, model: Any, ask: Callable[[Any], Sequences]
) -> bool:
    """Whether the scores of one document are right.

    theirs: of `model`, in float32. ask: what transformers gives for that document with a model.
    """
    if score_error(own, theirs) <= SCORE_TOLERANCE:
        return True
    exact = ask(copy.deepcopy(model).double())
    worst = _largest_error(theirs, exact)
    for seed in range(JITTERED_RUNS):
        with Jittered(EPS, seed):
            worst = max(worst, _largest_error(ask(model), exact))
    return score_error(own, exact) <= max(SCORE_TOLERANCE, ROUNDING * worst)


def _largest_error(found: Sequences, right: Sequences) -> float:
    return max(
        (
            abs(score - exact) / max(1.0, abs(exact))
            for (tokens, score), (others, exact) in zip(found, right, strict=False)
            if tokens == others and not np.isnan(exact)
        ),
        default=0.0,
    )
