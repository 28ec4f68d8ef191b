"""From two logits per token to the likeliest passages.

Source: transformers, pipelines/question_answering.py (`decode_spans`).
"""

import numpy as np
import numpy.typing as npt

__all__ = ["best_spans"]


def best_spans(
    start_logits: npt.NDArray[np.float32],
    end_logits: npt.NDArray[np.float32],
    *,
    count: int,
    max_tokens: int,
) -> list[tuple[int, int, float]]:
    """The likeliest (first token, last token, probability), the best first; ties by position.

    start_logits, end_logits [T]: of the tokens that an answer may consist of. The probability is
    that of the start times that of the end, each a softmax over these tokens.
    """
    starts, ends = _softmax(start_logits), _softmax(end_logits)
    length = len(starts)
    sizes = np.minimum(min(max_tokens, length), length - np.arange(length))  # spans from each first
    first = np.repeat(np.arange(length), sizes)
    last = first + np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    scores = starts[first] * ends[last]
    order = np.argsort(-scores, kind="stable")[:count]
    return [(int(first[each]), int(last[each]), float(scores[each])) for each in order]


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    values = np.exp(logits.astype(np.float64) - logits.max())
    total: npt.NDArray[np.float64] = values / values.sum()
    return total
