"""The best continuations of each row, selected from the scores of the whole vocabulary.

Dimensions: N rows, C candidates, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Candidates", "order_selected", "select_top"]

_GROUP_TOKENS = 128


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
    for row, threshold in enumerate(_reached(scores, count)):
        above = np.flatnonzero(scores[row] >= threshold)  # ascending ids, at least `count`
        ids[row] = above[np.argsort(-scores[row, above], kind="stable")[:count]]
    return Candidates(scores=np.take_along_axis(scores, ids, axis=1), ids=ids)


def _reached(scores: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float32]:
    """[N] a score that at least `count` of each row's reach, and few others.

    It is the count-th of the best scores of some groups of tokens, which are quickly found.
    """
    groups = scores.shape[1] // _GROUP_TOKENS
    if groups >= count:
        whole = scores[:, : _GROUP_TOKENS * groups]
        scores = np.fmax.reduce(whole.reshape(len(scores), _GROUP_TOKENS, groups), axis=1)
    return -np.partition(-scores, count - 1, axis=1)[:, count - 1]


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
