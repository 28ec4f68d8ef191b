"""A text over the limit in windows that fit it: whole sentences, an overlap, sizes alike."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from pegasus_runtime.errors import InputError
from pegasus_runtime.tasks.long_documents.sentences import Span, split_sentences, split_words

__all__ = ["Count", "plan_windows"]

Count = Callable[[str], int]
"""The tokens of a text, EOS and all else that the tokenizer puts around it included."""

_JOINER = "\u200d"


def plan_windows(
    text: str, token_ends: Sequence[int], *, limit: int, overlap: int, count: Count
) -> list[Span]:
    """The windows of a text, in order: each fits, together they cover it.

    token_ends: of each token of the text, where in it the characters end that it stands for.
    limit: the most tokens of a window, as `count` counts them. A window begins with as many of the
    last sentences of the one before as have `overlap` tokens at most together. There are as few
    windows as the limit allows, and the largest is as small as it can be among so many. A sentence
    of more tokens than fit is cut between words, and a word between tokens.

    Raises: InputError where not even a token fits.
    """
    room = limit - 1
    while room > 0:
        spans = _cut_units(text, token_ends, room)
        units = [_tokens_of(span, token_ends) for span in spans]
        if max(end - start for start, end in units) > room:
            break
        windows = _balance(units, room, min(overlap, room // 2))
        found = [(spans[first][0], spans[last - 1][1]) for first, last in windows]
        # Tokens at the edge of a window may be others than within the text.
        excess = max(count(text[start:end]) for start, end in found) - limit
        if excess <= 0:
            return found
        room -= excess
    raise InputError(
        f"the bundle takes {limit} tokens, too few for a window of the document: export with "
        "a larger --max-source-tokens"
    )


def _tokens_of(span: Span, token_ends: Sequence[int]) -> Span:
    """The tokens [first, last) of a part of a text, counted from the text's beginning."""
    return bisect_right(token_ends, span[0]), bisect_right(token_ends, span[1])


def _cut_units(text: str, token_ends: Sequence[int], room: int) -> list[Span]:
    """What windows are made of: sentences, or parts of those that do not fit."""

    def fits(span: Span) -> bool:
        start, end = _tokens_of(span, token_ends)
        return end - start <= room

    # Of a text of nothing but marks that end lines, these are the words.
    sentences = split_sentences(text) or [(0, len(text))]
    units: list[Span] = []
    for sentence in sentences:
        if fits(sentence):
            units.append(sentence)
            continue
        for word in split_words(text, *sentence):
            if fits(word):
                units.append(word)
            else:
                units += _cut_tokens(text, word, token_ends, room)
    return units


def _cut_tokens(text: str, word: Span, token_ends: Sequence[int], room: int) -> Iterator[Span]:
    """A word between its tokens; before what belongs to the character in front only if it must."""
    start, end = word
    first, last = _tokens_of(word, token_ends)
    for cut, following in pairwise(token_ends[first:last]):
        begin, beyond = _tokens_of((start, following), token_ends)
        if start < cut < end and (beyond - begin > room or not _joins(text, cut)):
            yield start, cut
            start = cut
    yield start, end


def _joins(text: str, at: int) -> bool:
    return (
        unicodedata.category(text[at])[0] == "M" or text[at] == _JOINER or text[at - 1] == _JOINER
    )


def _balance(units: Sequence[Span], room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows [first, last) of units: as few as fit, and the largest as small as it can be.

    units: by their tokens. Those between two, marks that end lines, count in a window of both.
    """
    sizes = [end - start for start, end in units]
    fewest = _fill(units, room, overlap)
    low, high = max(max(sizes), -(-sum(sizes) // len(fewest))), room
    while low < high:
        middle = (low + high) // 2
        if len(_fill(units, middle, overlap)) <= len(fewest):
            high = middle
        else:
            low = middle + 1
    return _fill(units, high, overlap)


def _fill(units: Sequence[Span], room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows filled one after another."""
    windows: list[tuple[int, int]] = []
    first = end = 0
    while end < len(units):
        # Of the overlap, what leaves room for the next unit.
        while first < end and (
            units[end - 1][1] - units[first][0] > overlap or units[end][1] - units[first][0] > room
        ):
            first += 1
        while end < len(units) and units[end][1] - units[first][0] <= room:
            end += 1
        windows.append((first, end))
    return windows
