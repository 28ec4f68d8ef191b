"""From two logits per token of a window to the likeliest spans, in transformers' arithmetic.

Source: transformers 4.57, pipelines/question_answering.py (`select_starts_ends`, `decode_spans`).
Dimensions: S tokens of the window.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["rank_spans"]

_IMPOSSIBLE = np.float32(-10000.0)
Logits = npt.NDArray[np.float32]


def rank_spans(
    start_logits: Logits, end_logits: Logits, text: tuple[int, int], *, count: int, max_tokens: int
) -> Iterator[tuple[int, int, float]]:
    """(first token, last token, score), the best first: `count` of them at most.

    start_logits, end_logits [S]: of the whole window. text: the range that answers may lie in.
    """
    starts, ends = (_probabilities(each, text) for each in (start_logits, end_logits))
    starts[0] = ends[0] = 0.0  # where other models have a [CLS]
    scores = np.tril(np.triu(starts[:, None] * ends[None, :]), max_tokens - 1)  # [S, S]
    flat = scores.ravel()
    if count == 1:
        order = np.array([flat.argmax()])
    elif len(flat) < count:
        order = np.argsort(-flat)
    else:
        best = np.argpartition(-flat, count)[:count] if len(flat) > count else np.arange(count)
        order = best[np.argsort(-flat[best])]
    for first, last in zip(*np.unravel_index(order, scores.shape), strict=True):
        if text[0] <= first < text[1] and text[0] <= last < text[1]:
            yield int(first), int(last), float(scores[first, last])


def _probabilities(logits: Logits, text: tuple[int, int]) -> Logits:
    inside = np.zeros(len(logits), bool)
    inside[slice(*text)] = True
    values = np.where(inside, logits, _IMPOSSIBLE)
    values = np.exp(values - values.max())
    probabilities: Logits = values / values.sum()
    return probabilities
