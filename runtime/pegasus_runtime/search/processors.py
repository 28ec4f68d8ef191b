"""Logits processors: what may follow a row, apart from what the model thinks.

transformers applies them in this order: sequence bias, penalties of source tokens and repetition,
repeated n-grams, source n-grams, bad words, early EOS, forced BOS, forced EOS, invalid values,
decay, suppressed tokens; then warpers, where tokens are drawn; then renormalisation. These here
look at no score: they ban tokens (-inf), or force one (all others -inf, itself 0). Bans commute, a
forced token overrides them, and settings hold no forced token that is suppressed: so without the
others (`penalties`, `warpers`) a step is nothing but bans, or nothing but its forced tokens.

In beam search they see log-probabilities, otherwise raw logits; the two differ in the sign that
penalties look at. Bans are token ids [N, M], -1 where a row has fewer.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.sources import Source

__all__ = [
    "Scores",
    "Tokens",
    "ban_tokens",
    "collect_bans",
    "find_bad_word_ends",
    "find_repeated_ngram_ends",
    "find_source_ngram_ends",
    "force_tokens",
    "forced_tokens",
    "suppressed_tokens",
]

Scores = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]


def ban_tokens(scores: Scores, bans: Tokens) -> Scores:
    """Sets the banned tokens [N, M] of scores [N, V] to -inf."""
    banned = scores.copy()
    rows, columns = np.nonzero(bans >= 0)
    banned[rows, bans[rows, columns]] = -np.inf
    return banned


def force_tokens(scores: Scores, forced: Sequence[int]) -> Scores:
    """Leaves only the forced tokens possible."""
    only_forced = np.full_like(scores, -np.inf)
    only_forced[:, list(forced)] = 0.0
    return only_forced


def forced_tokens(length: int, settings: SearchSettings) -> tuple[int, ...]:
    """The only tokens that may follow rows of `length` tokens, ascending; () if not forced."""
    if length == settings.max_length - 1 and settings.forced_eos_token_ids:
        return settings.forced_eos_token_ids
    if length == 1 and settings.forced_bos_token_id is not None:
        return (settings.forced_bos_token_id,)
    return ()


def suppressed_tokens(length: int, settings: SearchSettings) -> tuple[int, ...]:
    """What is banned after rows of `length` tokens after all that may force or favour a token."""
    if length == settings.begin_suppress_length:
        return settings.suppress_tokens + settings.begin_suppress_tokens
    return settings.suppress_tokens


def collect_bans(history: Tokens, sources: Sequence[Source], settings: SearchSettings) -> Tokens:
    """Everything that may not follow the rows [N, L], whatever the scores: [N, M], -1 filled."""
    num_rows, length = history.shape
    by_row = [
        find_repeated_ngram_ends(history, settings.no_repeat_ngram_size),
        find_source_ngram_ends(history, sources, settings.encoder_no_repeat_ngram_size),
        find_bad_word_ends(history, [word for word in settings.bad_words_ids if len(word) > 1]),
    ]
    everywhere = {word[0] for word in settings.bad_words_ids if len(word) == 1}
    everywhere.update(suppressed_tokens(length, settings))
    if length < settings.min_length:
        everywhere.update(settings.tokens.eos)
    shared = np.broadcast_to(np.array(sorted(everywhere), np.int64), (num_rows, len(everywhere)))
    return np.concatenate([shared, _pack_left(np.concatenate(by_row, axis=1))], axis=1)


def _pack_left(bans: Tokens) -> Tokens:
    """Moves the -1s to the right and drops columns that hold nothing else."""
    width = int((bans >= 0).sum(axis=1).max(initial=0))
    return np.sort(bans, axis=1)[:, ::-1][:, :width]


def find_repeated_ngram_ends(history: Tokens, size: int) -> Tokens:
    """Tokens that would make the rows [N, L] hold an n-gram twice: [N, L-size+1]."""
    num_rows, length = history.shape
    if size == 0 or length < size:
        return np.empty((num_rows, 0), np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(history, size, axis=1)  # [N, L-size+1, size]
    suffix = history[:, None, length + 1 - size :]  # [N, 1, size-1]
    repeats = (windows[:, :, :-1] == suffix).all(axis=2)
    return np.where(repeats, windows[:, :, -1], -1)


def find_source_ngram_ends(history: Tokens, sources: Sequence[Source], size: int) -> Tokens:
    """Tokens that would make the rows [N, L] hold an n-gram of their document."""
    num_rows, length = history.shape
    if size == 0 or length + 1 < size:
        return np.empty((num_rows, 0), np.int64)
    rows_per_document = num_rows // len(sources)
    suffixes = history[:, length + 1 - size :].tolist()
    ends = [
        sources[row // rows_per_document].ngrams.get(tuple(suffix), ())
        for row, suffix in enumerate(suffixes)
    ]
    bans = np.full((num_rows, max(map(len, ends))), -1, np.int64)
    for row, found in enumerate(ends):
        bans[row, : len(found)] = found
    return bans


def find_bad_word_ends(history: Tokens, words: Sequence[Sequence[int]]) -> Tokens:
    """Last tokens of the bad words (two tokens or more) whose other tokens end the rows [N, L]."""
    bans = np.full((history.shape[0], len(words)), -1, np.int64)
    for column, (*prefix, end) in enumerate(words):
        if len(prefix) <= history.shape[1]:
            matches = (history[:, -len(prefix) :] == np.array(prefix)).all(axis=1)
            bans[matches, column] = end
    return bans
