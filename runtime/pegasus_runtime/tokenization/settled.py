"""What of a text that is still being written stands, whatever follows.

Text grows at its end alone. What is not settled there: bytes of a character that is not whole, a
space that punctuation may take away, the beginning of what would be replaced as a whole, a
character that a mark may join.
"""

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["replace_settled", "settle_bytes", "settle_end", "sub_settled"]

_REPLACEMENT = "\ufffd"
_JOINER = "\u200d"


def replace_settled(text: str, pairs: Iterable[tuple[str, str]]) -> str:
    """What `text.replace(*pair)`, one pair after another, begins with however the text goes on.

    >>> replace_settled("He did n't go , did n", [(" n't", "n't"), (" ,", ",")])
    "He didn't go, did"
    """
    for loose, tight in pairs:
        *before, tail = text.split(loose)  # as `replace` finds them
        sizes = range(len(loose) - 1, 0, -1)
        size = next((size for size in sizes if tail.endswith(loose[:size])), 0)
        text = tight.join([*before, tail[: len(tail) - size]])
    return text


def sub_settled(text: str, pattern: re.Pattern[str], kept: str, begun: re.Pattern[str]) -> str:
    """The same of `pattern.sub(kept, text)`; begun: what at the end may become a match."""
    return begun.sub("", pattern.sub(kept, text))


def settle_bytes(text: str) -> str:
    """Without the bytes at the end that are no character yet, which are decoded one by one."""
    return text.rstrip(_REPLACEMENT)


def settle_end(text: str) -> str:
    """Without whitespace at the end, which may be dropped, and a character that may grow.

    That is the last one, and what joins it, unless it is of ASCII: what composes with these is one
    character in SentencePiece's texts.
    """
    text = text.rstrip()
    if text[-1:].isascii():
        return text
    end = len(text) - 1
    while end > 0 and (_joins(text[end]) or text[end - 1] == _JOINER):
        end -= 1
    return text[:end].rstrip()


def _joins(char: str) -> bool:
    """Whether it is a part of the character before it: marks, skin tones, halves of flags."""
    category = unicodedata.category(char)
    is_emoji_part = "\U0001f3fb" <= char <= "\U0001f3ff" or "\U0001f1e6" <= char <= "\U0001f1ff"
    return category[0] == "M" or category == "Cf" or is_emoji_part
