"""The best continuations of each row, selected from the scores of the whole vocabulary.

Dimensions: N rows, C candidates, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Candidates", "order_selected", "select_top"]


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


def order_selected(
    scores: npt.NDArray[np.float32], ids: npt.NDArray[np.int64], count: int
) -> Candidates | None:
    """The `count` best of what a graph selected, which may have ordered equal scores as it likes.

    scores, ids [N, C], C over `count`. None where the last one's score is also that of the last
    that was selected: others, which were not, may have it too.
    """
    order = np.lexsort((ids, -scores), axis=1)
    scores = np.take_along_axis(scores, order, axis=1)
    if not (scores[:, count - 1] > scores[:, -1]).all():
        return None
    ids = np.take_along_axis(ids, order, axis=1)
    return Candidates(scores=scores[:, :count], ids=ids[:, :count])
