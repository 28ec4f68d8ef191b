"""What narrows the choice before a token is drawn: transformers' warpers, in fp32.

Each takes scores [N, V] and sets those of the tokens that it rules out to -inf. `keep` tokens stay
in any case: one, or with beams one that is not EOS, so that a row can go on.
"""

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.penalties import normalize
from pegasus_runtime.search.processors import Scores
from pegasus_runtime.search.settings import SearchSettings

__all__ = [
    "keep_above_epsilon",
    "keep_above_eta",
    "keep_min_p",
    "keep_top_h",
    "keep_top_k",
    "keep_top_p",
    "keep_typical",
    "warp_scores",
]

_TOP_H_TOKENS = 100  # transformers looks at no more


def warp_scores(scores: Scores, settings: SearchSettings) -> Scores:
    """All warpers that the settings ask for, in transformers' order."""
    keep = settings.min_tokens_to_keep
    if settings.temperature != 1.0:
        with np.errstate(over="ignore"):  # of what is as unlikely as can be
            scores = scores / np.float32(settings.temperature)
    if settings.top_h is not None:
        scores = keep_top_h(scores, settings.top_h)
    if settings.top_k > 0:
        scores = keep_top_k(scores, settings.top_k, keep)
    if settings.top_p < 1.0:
        scores = keep_top_p(scores, settings.top_p, keep)
    if settings.min_p > 0.0:
        scores = keep_min_p(scores, settings.min_p, keep)
    if settings.typical_p < 1.0:
        scores = keep_typical(scores, settings.typical_p, keep)
    if 0.0 < settings.epsilon_cutoff < 1.0:
        scores = keep_above_epsilon(scores, settings.epsilon_cutoff, keep)
    if 0.0 < settings.eta_cutoff < 1.0:
        scores = keep_above_eta(scores, settings.eta_cutoff, keep)
    return scores


def keep_top_h(scores: Scores, top_h: float) -> Scores:
    """Keeps the most likely of the 100 best tokens that have top_h of these tokens' entropy."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :_TOP_H_TOKENS]
    best = np.take_along_axis(scores, order, axis=1)
    probs = _softmax(best)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a token that is not possible: NaN
        terms = -probs * np.log(probs)
    kept = np.cumsum(terms, axis=1) <= _entropy(best) * np.float32(top_h)
    kept[:, 0] = True
    removed = np.ones(scores.shape, np.bool_)
    np.put_along_axis(removed, order, ~kept, axis=1)
    return _rule_out(scores, removed)


def keep_top_k(scores: Scores, top_k: int, keep: int = 1) -> Scores:
    """Keeps the k largest; those equal to the k-th stay."""
    return _rule_out(scores, scores < _nth_best(scores, max(top_k, keep)))


def keep_top_p(scores: Scores, top_p: float, keep: int = 1) -> Scores:
    """Keeps the most likely tokens that together have top_p."""
    order = np.argsort(scores, axis=1, kind="stable")  # ascending
    cumulative = np.cumsum(_softmax(np.take_along_axis(scores, order, axis=1)), axis=1)
    removed = cumulative <= 1.0 - top_p
    removed[:, -keep:] = False
    return _rule_out(scores, _unsort(removed, order))


def keep_min_p(scores: Scores, min_p: float, keep: int = 1) -> Scores:
    """Keeps what has at least min_p times the probability of the likeliest."""
    probs = _softmax(scores)
    removed = probs < np.float32(min_p) * probs.max(axis=1, keepdims=True)
    best = np.argsort(-probs, axis=1, kind="stable")[:, :keep]
    np.put_along_axis(removed, best, False, axis=1)
    return _rule_out(scores, removed)


def keep_typical(scores: Scores, mass: float, keep: int = 1) -> Scores:
    """Keeps the tokens nearest to the expected information that together have this mass."""
    log_probs = normalize(scores)
    probs = np.exp(log_probs)
    with np.errstate(invalid="ignore"):  # 0 * -inf, which counts 0
        entropy = -np.nansum(log_probs * probs, axis=1, keepdims=True)
    distance = np.abs(-log_probs - entropy)
    order = np.argsort(distance, axis=1, kind="stable")
    distance = np.take_along_axis(distance, order, axis=1)
    cumulative = np.cumsum(_softmax(np.take_along_axis(scores, order, axis=1)), axis=1)
    last = (cumulative < np.float32(mass)).sum(axis=1, keepdims=True)
    last = np.minimum(last, scores.shape[1] - 1)
    removed = distance > np.take_along_axis(distance, last, axis=1)
    removed[:, :keep] = False
    return _rule_out(scores, _unsort(removed, order))


def keep_above_epsilon(scores: Scores, epsilon: float, keep: int = 1) -> Scores:
    """Keeps tokens of at least this probability."""
    removed = _softmax(scores) < np.float32(epsilon)
    return _rule_out(scores, removed & (scores < _nth_best(scores, keep)))


def keep_above_eta(scores: Scores, epsilon: float, keep: int = 1) -> Scores:
    """Keeps tokens above the lesser of epsilon and sqrt(epsilon) * exp(-entropy)."""
    probs = _softmax(scores)
    entropy = _entropy(scores)
    least = np.float32(epsilon)
    eta = np.minimum(least, np.sqrt(least) * np.exp(-entropy))
    return _rule_out(scores, (probs < eta) & (scores < _nth_best(scores, keep)))


def _entropy(scores: Scores) -> Scores:
    """[N, 1] as torch.distributions.Categorical has it, roundings included: of scores far from 0
    and a token that is nearly sure, they are most of it."""
    best = scores.max(axis=1, keepdims=True)
    log_probs = scores - (best + np.log(np.exp(scores - best).sum(axis=1, keepdims=True)))
    lowest = np.finfo(np.float32).min
    entropy: Scores = -(np.maximum(log_probs, lowest) * _softmax(log_probs)).sum(
        axis=1, keepdims=True
    )
    return entropy


def _softmax(scores: Scores) -> Scores:
    probs: Scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    return probs


def _nth_best(scores: Scores, count: int) -> Scores:
    """[N, 1] the score that `count` tokens of each row reach."""
    count = min(count, scores.shape[1])
    return -np.partition(-scores, count - 1, axis=1)[:, count - 1 : count]


def _rule_out(scores: Scores, removed: npt.NDArray[np.bool_]) -> Scores:
    return np.where(removed, np.float32(-np.inf), scores)


def _unsort(removed: npt.NDArray[np.bool_], order: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    unsorted = np.empty_like(removed)
    np.put_along_axis(unsorted, order, removed, axis=1)
    return unsorted
