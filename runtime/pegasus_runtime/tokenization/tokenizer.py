"""Text -> token ids and back: what every task calls, whatever vocabulary lies below.

The reference is raw SentencePiece, which the models were trained with. Ids 0..105 are special in
both layouts and never come out of text, except 105 `<unk>` for what the vocabulary lacks, unless
`parse_special_tokens` is on. Piece 106 `<n>` is an ordinary one.

Where transformers 5.23 differs, for PEGASUS:
- whitespace at the end of the text, or before a parsed special token, gives an extra `▁` (110);
- a combining mark after some compatibility characters (`…`, fullwidth forms) is lost;
- of two segmentations with equal scores it may take the other (three or more primes in a row);
- decoding ids that start with `▁` keeps that space.
For BigBirdPegasus, transformers 5.23 gives other ids than the models were trained with.
"""

import operator
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from pegasus_runtime.bundle.manifest import TokenizerLayout
from pegasus_runtime.errors import BundleError, InputError, OptionsError
from pegasus_runtime.tokenization.sentencepiece_vocabulary import (
    NEWLINE_PIECE,
    SentencePieceVocabulary,
)
from pegasus_runtime.tokenization.vocabulary import Vocabulary

__all__ = ["Encoding", "Newlines", "Pieces", "Tokenizer"]

Newlines: TypeAlias = Literal["hf", "original"]

MIN_TOKENS = 2  # one of the text, and EOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """The ids of one text, EOS included; num_tokens_before counts them before truncation."""

    token_ids: tuple[int, ...]
    truncated: bool
    num_tokens_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """The ids of one text without EOS, and the characters [start, end) that each stands for.

    A piece may bring the space before it along, and may stand for none (as part of `½`).
    """

    token_ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokenizer:
    """A vocabulary, with special tokens, EOS and limits.

    Nothing here changes after loading: `encode` and `decode` may run in several threads at once.
    """

    newlines: Newlines
    parse_special_tokens: bool
    _vocabulary: Vocabulary = field(repr=False)
    _special_pattern: re.Pattern[str] = field(repr=False)

    @classmethod
    def load(
        cls,
        path: Path | str,
        layout: TokenizerLayout,
        *,
        newlines: Newlines = "hf",
        parse_special_tokens: bool = False,
    ) -> "Tokenizer":
        """Load spiece.model.

        newlines: "hf" reads a newline as a space, as Hugging Face does, and leaves `<n>` in decoded
        text; "original" maps newline <-> `<n>`, as google-research/pegasus does in training.
        parse_special_tokens: whether `</s>`, `<mask_1>` ... in the text become their special ids,
        as Hugging Face's do, or stay text. Leave it off for text that you did not write.
        Raises: BundleError if the file is missing, is not SentencePiece's, or has another layout;
        OptionsError for unknown newlines.
        """
        if newlines not in ("hf", "original"):
            raise OptionsError(f"newlines is {newlines!r}, expected 'hf' or 'original'")
        vocabulary = SentencePieceVocabulary.load(Path(path), layout)
        if newlines == "original" and not vocabulary.has_newlines:
            raise BundleError(f"{path}: has no piece {NEWLINE_PIECE}: use newlines='hf'")
        literals = sorted(vocabulary.special_tokens, key=len, reverse=True)
        return cls(
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
            _vocabulary=vocabulary,
            _special_pattern=re.compile("(" + "|".join(map(re.escape, literals)) + ")"),
        )

    @property
    def vocab_size(self) -> int:
        """Number of ids, as Hugging Face counts them; a model's may be larger (padding)."""
        return self._vocabulary.size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Literal -> id, of the special ids that the vocabulary names."""
        return self._vocabulary.special_tokens

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch on the right."""
        return self._vocabulary.pad_token_id

    @property
    def eos_token_id(self) -> int:
        """Id that ends every encoded text."""
        return self._vocabulary.eos_token_id

    @property
    def unk_token_id(self) -> int:
        """Id of what the vocabulary lacks."""
        return self._vocabulary.unk_token_id

    @property
    def special_ids(self) -> Collection[int]:
        """The ids that `decode` leaves out."""
        return self._vocabulary.special_ids

    def encode(
        self, text: str, *, max_tokens: int | None = None, truncate: bool = False
    ) -> Encoding:
        """Encode one text, ending in EOS.

        max_tokens: the most ids allowed, EOS included; None for any number. Longer text raises, or
        with `truncate` loses its end; EOS stays. Lone surrogates are read as U+FFFD, which the
        vocabularies take for a space.
        Raises: InputError if the text is no str, empty, or too long; OptionsError if max_tokens is
        below 2.
        """
        _check_text(text)
        if max_tokens is not None and max_tokens < MIN_TOKENS:
            raise OptionsError(
                f"max_tokens is {max_tokens}, expected at least {MIN_TOKENS}: a token and EOS"
            )
        ids = [] if text.isspace() else self._ids_of(_without_lone_surrogates(text))
        if not ids:
            raise InputError("text is empty or has only whitespace: pass text with words in it")
        num_tokens = len(ids) + 1
        eos = self.eos_token_id
        if max_tokens is None or num_tokens <= max_tokens:
            return Encoding(token_ids=(*ids, eos), truncated=False, num_tokens_before=num_tokens)
        if not truncate:
            raise InputError(
                f"source has {num_tokens} tokens, the bundle takes {max_tokens}: shorten it, "
                f"pass truncate=True (--truncate), or export with --max-source-tokens {num_tokens}"
            )
        kept = (*ids[: max_tokens - 1], eos)
        return Encoding(token_ids=kept, truncated=True, num_tokens_before=num_tokens)

    def encode_pieces(self, text: str) -> Pieces:
        """Encode one text, and say where in it each token comes from.

        Newlines are read as spaces and special tokens as text, whatever the tokenizer does
        otherwise. Raises: InputError if the text is no str or empty.
        """
        _check_text(text)
        ids, offsets = self._vocabulary.encode_pieces(_without_lone_surrogates(text))
        if not ids or text.isspace():
            raise InputError("text is empty or has only whitespace: pass text with words in it")
        return Pieces(token_ids=tuple(ids), offsets=tuple(offsets))

    def decode(self, token_ids: Iterable[int]) -> str:
        """Text of the ids, special ones left out.

        Ids from vocab_size on, which a model with padded embeddings can produce, have no text:
        they raise rather than vanish. Raises: InputError for those and for what is no integer.
        """
        ids = _integers(token_ids)
        for token_id in ids:
            if not 0 <= token_id < self.vocab_size:
                raise InputError(
                    f"token id {token_id} is outside the vocabulary of {self.vocab_size}: pass ids "
                    "from this bundle; padding rows of a model can be kept out by suppress_tokens"
                )
        special_ids = self.special_ids
        text = self._vocabulary.decode([each for each in ids if each not in special_ids])
        return text.replace(NEWLINE_PIECE, "\n") if self.newlines == "original" else text

    def _ids_of(self, text: str) -> list[int]:
        if self.newlines == "original":
            text = text.replace("\n", NEWLINE_PIECE)
        if not self.parse_special_tokens:
            return self._vocabulary.encode(text)
        ids = []
        for part in self._special_pattern.split(text):
            if part in self.special_tokens:
                ids.append(self.special_tokens[part])
            else:
                ids += self._vocabulary.encode(part)
        return ids


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise InputError(f"text is {type(text).__name__}, expected str: decode it first")


def _without_lone_surrogates(text: str) -> str:
    """Replace surrogates that are no pair, which UTF-8 cannot hold, by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _integers(values: Iterable[int]) -> list[int]:
    try:
        return [operator.index(value) for value in values]
    except TypeError as err:
        raise InputError(f"token ids must be a flat sequence of integers: {err}") from err
