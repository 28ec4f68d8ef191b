"""Where a text spells added tokens: found as Hugging Face's tokenizers 0.23 finds them.

Of tokens that start at one place the longest counts, of those that overlap the first. Those that
are not normalised are looked for first, in the text as it is; the others in what is left of it,
after it was normalised.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pegasus_runtime.bundle.tokenizer_spec import AddedToken

__all__ = ["Part", "TokenFinder"]

# Unicode's White_Space, which str.isspace is not.
_WHITESPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class Part:
    """Characters [start, end) of a text: an added token, or none (token is None)."""

    start: int
    end: int
    token: AddedToken | None


class TokenFinder:
    """Cuts texts at the tokens that they spell."""

    def __init__(self, tokens: Sequence[AddedToken], spellings: Sequence[str]) -> None:
        """spellings: of each token, what it is looked for as; empty ones are never found."""
        self._tokens = {spelling: token for token, spelling in zip(tokens, spellings, strict=True)}
        self._tokens.pop("", None)
        longest_first = sorted(self._tokens, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __bool__(self) -> bool:
        """Whether there is anything to find."""
        return bool(self._tokens)

    def cut(self, text: str) -> Iterator[Part]:
        """The parts of a text, in order; none of them is empty, and together they are the text."""
        done = 0
        for match in self._pattern.finditer(text) if self._tokens else ():
            token, start, end = self._tokens[match[0]], match.start(), match.end()
            if token.single_word and not _stands_alone(text, start, end):
                continue
            while token.lstrip and start > done and text[start - 1] in _WHITESPACE:
                start -= 1
            while token.rstrip and end < len(text) and text[end] in _WHITESPACE:
                end += 1
            if done < start:
                yield Part(done, start, None)
            yield Part(start, end, token)
            done = end
        if done < len(text):
            yield Part(done, len(text), None)


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before and _is_of_words(before)) and not (after and _is_of_words(after))


def _is_of_words(char: str) -> bool:
    """Unicode's \\w: letters, marks, decimal digits, letter numbers, connectors, joiners."""
    category = unicodedata.category(char)
    is_circled = "\u24b6" <= char <= "\u24e9" or "\U0001f130" <= char <= "\U0001f189"
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc") or char in _JOINERS or is_circled
