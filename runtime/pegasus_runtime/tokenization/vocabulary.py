"""What the tokenizer asks of a vocabulary: plain text to ids, and ids to text."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

__all__ = ["Vocabulary"]


class Vocabulary(Protocol):
    """One vocabulary under the ids of its model.

    What is read or written here is plain text: no special token is parsed, none is added. Nothing
    changes after loading, so that several threads may call at once.
    """

    @property
    def size(self) -> int:
        """Number of ids, special ones included: each is below it."""
        ...

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch on the right."""
        ...

    @property
    def eos_token_id(self) -> int:
        """Id that ends every encoded text."""
        ...

    @property
    def unk_token_id(self) -> int:
        """Id of what the vocabulary lacks."""
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

    def encode(self, text: str) -> list[int]:
        """Ids of plain text, without EOS; [] where nothing of it is left."""
        ...

    def encode_pieces(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of plain text, and the characters [start, end) of it that each stands for."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ids that are below `size` and not special."""
        ...
