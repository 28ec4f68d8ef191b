"""Processors that look at scores: they need those of the whole vocabulary.

Scores [N, V] are log-probabilities in beam search and raw logits otherwise, all in fp32 and in the
order of operations of transformers (generation/logits_process.py).
"""

from collections.abc import Sequence

import numpy as np

from pegasus_runtime.search.processors import Scores, Tokens
from pegasus_runtime.search.settings import Biases
from pegasus_runtime.search.sources import Source

__all__ = [
    "add_biases",
    "favour_end",
    "favour_source",
    "normalize",
    "penalize_repetition",
    "replace_invalid",
]


def add_biases(scores: Scores, history: Tokens, biases: Biases) -> Scores:
    """Adds to the last token of each sequence whose other tokens end the history [N, L]."""
    added = np.zeros_like(scores)
    for (*prefix, end), bias in sorted(biases, key=lambda each: len(each[0])):
        if len(prefix) <= history.shape[1]:
            suffix = history[:, history.shape[1] - len(prefix) :]
            rows = (suffix == np.array(prefix, np.int64)).all(axis=1)
            with np.errstate(over="ignore"):  # two bans of one token
                added[rows, end] += np.float32(bias)
    with np.errstate(over="ignore"):
        return scores + added


def favour_source(scores: Scores, sources: Sequence[Source], penalty: float) -> Scores:
    """Raises (with a penalty above 1) the tokens of each row's document.

    The document's own, without padding, of which transformers raises the token in shorter documents
    of a batch.
    """
    rows = len(scores) // len(sources)
    favoured = scores.copy()
    for document, source in enumerate(sources):
        own = favoured[document * rows : (document + 1) * rows]
        own[:, source.tokens] = _penalize(own[:, source.tokens], 1 / penalty)
    return favoured


def penalize_repetition(scores: Scores, history: Tokens, penalty: float) -> Scores:
    """Divides positive and multiplies negative scores [N, V] of tokens in history [N, L]."""
    seen = np.take_along_axis(scores, history, axis=1)  # [N, V] -> [N, L]
    penalized = scores.copy()
    np.put_along_axis(penalized, history, _penalize(seen, penalty), axis=1)
    return penalized


def _penalize(scores: Scores, penalty: float) -> Scores:
    factor = np.float32(penalty)
    with np.errstate(over="ignore"):  # of what a bias has made as unlikely as can be
        return np.where(scores < 0, scores * factor, scores / factor)


def replace_invalid(scores: Scores) -> Scores:
    """Puts the largest and the smallest number in the place of infinities, and 0 of NaN."""
    limits = np.finfo(np.float32)
    return np.nan_to_num(scores, nan=0.0, posinf=float(limits.max), neginf=float(limits.min))


def favour_end(scores: Scores, eos: Sequence[int], factor: float, tokens_over: int) -> Scores:
    """Adds |score| * (factor ** tokens_over - 1) to the score of EOS, where that is possible."""
    ends = scores[:, list(eos)]
    with np.errstate(over="ignore", invalid="ignore"):  # as far as fp32 goes, and then inf
        growth = np.float32(np.float_power(factor, tokens_over) - 1)
        added = np.where(np.isfinite(ends), np.abs(ends) * growth, np.float32(0))
        favoured = scores.copy()
        favoured[:, list(eos)] = ends + added
    return favoured


def normalize(scores: Scores) -> Scores:
    """log_softmax; rows in which nothing is possible stay as they are."""
    best = scores.max(axis=1, keepdims=True)
    shifted = scores - np.where(np.isfinite(best), best, np.float32(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.where(np.isneginf(best), scores, log_probs)
