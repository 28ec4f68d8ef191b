"""The best continuations of each row, selected from the scores of the whole vocabulary.

Dimensions: N rows, C candidates, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Candidates", "select_top"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """The best continuations of each of N rows."""

    scores: npt.NDArray[np.float32]
    """[N, C] descending; ties by ascending id."""
    ids: npt.NDArray[np.int64]
    """[N, C]"""


def select_top(scores: npt.NDArray[np.float32], count: int) -> Candidates:
    """The `count` largest of each row of scores [N, V], descending; ties by ascending id."""
    ids = np.empty((len(scores), count), np.int64)
    thresholds = -np.partition(-scores, count - 1, axis=1)[:, count - 1]
    for row, threshold in enumerate(thresholds):
        above = np.flatnonzero(scores[row] >= threshold)  # ascending ids, at least `count`
        ids[row] = above[np.argsort(-scores[row, above], kind="stable")[:count]]
    return Candidates(scores=np.take_along_axis(scores, ids, axis=1), ids=ids)
