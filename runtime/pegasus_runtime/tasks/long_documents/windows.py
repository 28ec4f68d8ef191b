"""A text over the limit in windows that fit it: whole sentences, an overlap, sizes alike."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

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
        sizes, spans = _cut_units(text, token_ends, room)
        if max(sizes) > room:
            break
        windows = _balance(sizes, room, min(overlap, room // 2))
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


def _cut_units(text: str, token_ends: Sequence[int], room: int) -> tuple[list[int], list[Span]]:
    """What windows are made of, by size in tokens and place: sentences, or parts of long ones."""

    def size(span: Span) -> int:
        return bisect_right(token_ends, span[1]) - bisect_right(token_ends, span[0])

    spans: list[Span] = []
    for sentence in split_sentences(text):
        if size(sentence) <= room:
            spans.append(sentence)
            continue
        for word in split_words(text, *sentence):
            if size(word) <= room:
                spans.append(word)
            else:
                spans += _cut_tokens(text, word, token_ends)
    return [size(span) for span in spans], spans


def _cut_tokens(text: str, word: Span, token_ends: Sequence[int]) -> Iterator[Span]:
    """A word between its tokens, but not before what belongs to the character in front."""
    start, end = word
    for cut in token_ends[bisect_right(token_ends, start) : bisect_right(token_ends, end)]:
        if start < cut < end and not _joins(text, cut):
            yield start, cut
            start = cut
    yield start, end


def _joins(text: str, at: int) -> bool:
    return (
        unicodedata.category(text[at])[0] == "M" or text[at] == _JOINER or text[at - 1] == _JOINER
    )


def _balance(sizes: Sequence[int], room: int, overlap: int) -> list[tuple[int, int]]:
    """Windows [first, last) of units: as few as fit, and the largest as small as it can be."""
    before = [0, *accumulate(sizes)]
    fewest = _fill(sizes, before, room, overlap)
    low, high = max(max(sizes), -(-before[-1] // len(fewest))), room
    while low < high:
        middle = (low + high) // 2
        if len(_fill(sizes, before, middle, overlap)) <= len(fewest):
            high = middle
        else:
            low = middle + 1
    return _fill(sizes, before, high, overlap)


def _fill(
    sizes: Sequence[int], before: Sequence[int], room: int, overlap: int
) -> list[tuple[int, int]]:
    """Windows filled one after another; before: how many tokens stand in front of each unit."""
    windows: list[tuple[int, int]] = []
    first = end = 0
    while end < len(sizes):
        # Of the overlap, what leaves room for the next unit.
        most = min(overlap, room - sizes[end])
        while before[end] - before[first] > most:
            first += 1
        while end < len(sizes) and before[end + 1] - before[first] <= room:
            end += 1
        windows.append((first, end))
    return windows
