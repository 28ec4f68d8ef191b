"""What the tokenizer asks of a vocabulary: plain text to ids, and ids to text."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

__all__ = ["Offsets", "Vocabulary"]

Offsets = list[tuple[int, int]]
"""The characters [start, end) of a text that each id stands for."""


class Vocabulary(Protocol):
    """One vocabulary under the ids of its model.

    What is read or written here is plain text: no special token is parsed, none is added. A text
    may be a part of one, between added tokens: `starts` says whether it is the first part, `ends`
    whether whitespace at its end counts for nothing. Nothing changes after loading, so that several
    threads may call at once.
    """

    @property
    def size(self) -> int:
        """Number of ids, special ones included: each is below it."""
        ...

    @property
    def special_ids(self) -> Collection[int]:
        """Ids that stand for no text."""
        ...

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Literal -> id of special tokens, which `encode` reads as text."""
        ...

    @property
    def has_newlines(self) -> bool:
        """Whether `<n>` is a token, which the original models read as a newline."""
        ...

    def encode(self, text: str, *, starts: bool = True, ends: bool = True) -> list[int]:
        """Ids of plain text; [] where nothing of it is left."""
        ...

    def encode_pieces(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """Ids of plain text, and what of it each stands for."""
        ...

    def normalize(self, text: str) -> tuple[str, list[int]]:
        """Text as the vocabulary reads it; of each of its characters the place in `text`, and of
        its end."""
        ...

    def encode_normalized(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """As `encode_pieces`, for a part of what `normalize` gave."""
        ...

    def decode(self, tokens: Sequence[int | str]) -> str:
        """Text of ids that are below `size` and not special, and of literals between them."""
        ...

    def decode_settled(self, tokens: Sequence[int | str]) -> str:
        """What the text of these begins with, and that of any that begin with these."""
        ...
