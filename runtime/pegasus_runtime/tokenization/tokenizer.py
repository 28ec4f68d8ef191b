"""Text -> token ids and back: what every task calls, whatever vocabulary lies below.

The reference is raw SentencePiece, which the models were trained with. The model's own special
tokens (for PEGASUS, ids 0..105) never come out of text, except `<unk>` for what the vocabulary
lacks, unless `parse_special_tokens` is on. Piece 106 `<n>` is an ordinary one.

Tokens that a fine-tune added, special ones too, are always looked for in the text: it depends on
them, and they bring about nothing but what it was trained to do. Around them, ids are those of
transformers 5.23.

Where transformers 5.23 differs, for PEGASUS:
- whitespace at the end of the text, or before a parsed special token of the model's own, gives an
  extra `▁` (110);
- a combining mark after some compatibility characters (`…`, fullwidth forms) is lost, and of
  several on one letter none is composed with it;
- of two segmentations with equal scores it may take the other (three or more primes in a row);
- a `▁` in the text itself is a place to cut, and takes no space in front;
- decoding ids that start with `▁` keeps that space.
Without a tokenizer.json, transformers 5.23 gives other ids than the models were trained with for
BigBirdPegasus, and for PEGASUS where mask_token is named and mask_token_sent is not.
"""

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from pegasus_runtime.bundle import Architecture
from pegasus_runtime.bundle.tokenizer_spec import AddedToken, TokenizerSpec
from pegasus_runtime.errors import BundleError, InputError, OptionsError
from pegasus_runtime.tokenization.added_tokens import TokenFinder
from pegasus_runtime.tokenization.clean_up_spaces import TIGHT
from pegasus_runtime.tokenization.control_characters import count_control_characters
from pegasus_runtime.tokenization.given_text import check_text, without_lone_surrogates
from pegasus_runtime.tokenization.limits import cut_longer, over_limit
from pegasus_runtime.tokenization.load_vocabulary import load_vocabulary
from pegasus_runtime.tokenization.looks_like_html import looks_like_html
from pegasus_runtime.tokenization.sentencepiece_vocabulary import NEWLINE_PIECE
from pegasus_runtime.tokenization.settled import replace_settled, settle_end
from pegasus_runtime.tokenization.unknown_share import (
    check_max_unknown,
    over_max_unknown,
    unknown_share,
)
from pegasus_runtime.tokenization.vocabulary import Offsets, Vocabulary

__all__ = ["Encoding", "Newlines", "Pieces", "Tokenizer"]

Newlines: TypeAlias = Literal["hf", "original"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """The ids of one text, EOS included; num_tokens_before counts them before truncation.

    unknown_share: of the text's characters that the ids stand for, those that the vocabulary lacks,
    from 0 to 1; see `unknown_share`. control_characters, looks_like_html: of the whole text, what
    is cut included; see `count_control_characters` and `looks_like_html`.
    """

    token_ids: tuple[int, ...]
    truncated: bool
    num_tokens_before: int
    unknown_share: float = 0.0
    control_characters: int = 0
    looks_like_html: bool = False


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
    _spec: TokenizerSpec = field(repr=False)
    _vocabulary: Vocabulary = field(repr=False)
    _as_written: TokenFinder = field(repr=False)
    """Of added tokens that are not normalised, and of the model's own where they are parsed."""
    _as_written_added: TokenFinder = field(repr=False)
    """Of the added ones alone."""
    _normalized: TokenFinder = field(repr=False)
    _literals: Mapping[int, str] = field(repr=False)
    """Added tokens as they are decoded, by id; the special ones are ''."""
    max_unknown: float | None = None

    @classmethod
    def load(
        cls,
        path: Path | str,
        spec: TokenizerSpec,
        *,
        newlines: Newlines = "hf",
        parse_special_tokens: bool = False,
        max_unknown: float | None = None,
    ) -> "Tokenizer":
        """Load the vocabulary in a file, as the manifest describes it.

        newlines: "hf" reads a newline as a space, as Hugging Face does, and leaves `<n>` in decoded
        text; "original" maps newline <-> `<n>`, as google-research/pegasus does in training.
        parse_special_tokens: whether `</s>`, `<mask_1>` ... in the text become their special ids,
        as Hugging Face's do, or stay text. Leave it off for text that you did not write.
        max_unknown: the largest `Encoding.unknown_share` that `encode` lets through, from 0 to 1;
        None for any.
        Raises: BundleError if the file is missing, is of another kind, or has another layout;
        OptionsError for unknown newlines, and for a max_unknown that is no share.
        """
        check_max_unknown(max_unknown)
        if newlines not in ("hf", "original"):
            raise OptionsError(f"newlines is {newlines!r}, expected 'hf' or 'original'")
        vocabulary = load_vocabulary(Path(path), spec)
        if newlines == "original" and not vocabulary.has_newlines:
            raise BundleError(f"{path}: has no piece {NEWLINE_PIECE}: use newlines='hf'")
        as_written = [token for token in spec.added_tokens if not token.normalized]
        normalized = [token for token in spec.added_tokens if token.normalized]
        spellings = [vocabulary.normalize(token.content)[0] for token in normalized]
        own = _own_tokens(vocabulary, spec) if parse_special_tokens else []
        return cls(
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
            _spec=spec,
            _vocabulary=vocabulary,
            _as_written=_find_as_written([*own, *as_written]),
            _as_written_added=_find_as_written(as_written),
            _normalized=TokenFinder(normalized, spellings),
            _literals=_literals(as_written, normalized, spellings),
            max_unknown=max_unknown,
        )

    @property
    def vocab_size(self) -> int:
        """Number of ids, as Hugging Face counts them; a model's may be larger (padding)."""
        return max(self._vocabulary.size, *(token_id + 1 for token_id in self._literals), 0)

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Literal -> id, of the model's own special tokens and of added ones."""
        added = {each.content: each.token_id for each in self._spec.added_tokens if each.special}
        return {**self._vocabulary.special_tokens, **added}

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch on the right."""
        return self._spec.pad_token_id

    @property
    def eos_token_id(self) -> int:
        """Id that ends every encoded text."""
        suffix = self._spec.suffix_ids
        return suffix[-1] if suffix else self._spec.eos_token_id

    @property
    def unk_token_id(self) -> int:
        """Id of what the vocabulary lacks."""
        return self._spec.unk_token_id

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids that `decode` leaves out, but for those that it does not know."""
        added = {token_id for token_id, literal in self._literals.items() if not literal}
        own = set(self._vocabulary.special_ids) - self._literals.keys()
        return frozenset(own | added)

    def encode(
        self,
        text: str,
        *,
        pair: str | None = None,
        max_tokens: int | None = None,
        truncate: bool = False,
        model: Architecture | None = None,
        can_chunk: bool = False,
        add_special_tokens: bool = True,
    ) -> Encoding:
        """Encode one text, ending in EOS; with a pair, that stands between.

        max_tokens: the most ids allowed, EOS included; None for any number. Longer text raises, or
        with `truncate` loses its end; EOS stays. Lone surrogates are read as U+FFFD, which the
        vocabularies take for a space. model, can_chunk: see `over_limit`. add_special_tokens: False
        leaves out EOS, and what else the tokenizer puts around a text.
        Raises: InputError if the text is no str, empty, too long, or over max_unknown; OptionsError
        if max_tokens is below 2.
        """
        prefix, suffix = self._spec.prefix_ids, self._spec.suffix_ids
        if not add_special_tokens:
            prefix = suffix = ()
        around = len(prefix) + len(suffix)
        if max_tokens is not None and max_tokens <= around:
            raise OptionsError(
                f"max_tokens is {max_tokens}, expected at least {around + 1}: a token and EOS"
            )
        ids, others = self._checked_ids(text), [] if pair is None else self._checked_ids(pair)
        num_tokens = len(ids) + len(others) + around
        if max_tokens is None or num_tokens <= max_tokens:
            max_tokens = num_tokens
        elif not truncate:
            raise over_limit(
                "source", num_tokens, max_tokens, model=model, can_cut=True, can_chunk=can_chunk
            )
        first, second = cut_longer(len(ids), len(others), max_tokens - around)
        kept = ids[:first]
        share = self._unknown_share(text, kept)
        self.check_share(share)
        return Encoding(
            token_ids=(*prefix, *kept, *others[:second], *suffix),
            truncated=max_tokens < num_tokens,
            num_tokens_before=num_tokens,
            unknown_share=share,
            control_characters=count_control_characters(text),
            looks_like_html=looks_like_html(text),
        )

    def encode_pieces(self, text: str) -> Pieces:
        """Encode one text, and say where in it each token comes from.

        Newlines are read as spaces and the model's own special tokens as text, whatever the
        tokenizer does otherwise. Raises: InputError if the text is no str or empty.
        """
        check_text(text)
        ids: list[int] = []
        offsets: Offsets = []
        for found, places in self._read(without_lone_surrogates(text), self._as_written_added):
            ids += found
            offsets += places
        if not ids or text.isspace():
            raise InputError("text is empty or has only whitespace: pass text with words in it")
        return Pieces(token_ids=tuple(ids), offsets=tuple(offsets))

    def unknown_share(self, text: str, pieces: Pieces) -> float:
        """Of the characters of a text in pieces of it, those that the vocabulary lacks."""
        return unknown_share(text, pieces.token_ids, pieces.offsets, self.unk_token_id)

    def check_share(self, share: float) -> None:
        """Whether so large an unknown share is let through. Raises: InputError."""
        if self.max_unknown is not None and share > self.max_unknown:
            raise over_max_unknown(share, self.max_unknown)

    def decode(self, token_ids: Iterable[int], *, clean_up_spaces: bool | None = None) -> str:
        """Text of the ids, special ones left out.

        clean_up_spaces: None for what the checkpoint says.
        So are ids that the tokenizer does not know, which a model with padded embeddings can
        produce: transformers drops them as well. Raises: InputError for negative ids, which no
        model produces, and for what is no integer.
        """
        text = self._vocabulary.decode(self._written(token_ids))
        for loose, tight in self._replaced(clean_up_spaces):
            text = text.replace(loose, tight)
        return text

    def decode_settled(self, token_ids: Iterable[int]) -> str:
        """What `decode` of these ids begins with, and of any that begin with these.

        No space at its end, no part of a character. Raises: as `decode`.
        """
        text = self._vocabulary.decode_settled(self._written(token_ids))
        return settle_end(replace_settled(text, self._replaced()))

    def _written(self, token_ids: Iterable[int]) -> list[int | str]:
        """Those that stand for text, added ones as what they are decoded to."""
        tokens: list[int | str] = []
        special_ids = self._vocabulary.special_ids
        for token_id in _integers(token_ids):
            if token_id < 0:
                raise InputError(f"token id is {token_id}, expected 0 or more: pass ids of a model")
            if token_id in self._literals:
                tokens += filter(None, [self._literals[token_id]])
            elif token_id < self._vocabulary.size and token_id not in special_ids:
                tokens.append(token_id)
        return tokens

    def _replaced(self, clean_up_spaces: bool | None = None) -> Sequence[tuple[str, str]]:
        """What decoded text has in place of what, in this order."""
        cleans = self._spec.clean_up_spaces if clean_up_spaces is None else clean_up_spaces
        newline = ((NEWLINE_PIECE, "\n"),) if self.newlines == "original" else ()
        return (*TIGHT, *newline) if cleans else newline

    def _unknown_share(self, text: str, kept: Sequence[int]) -> float:
        """Of a text whose first tokens are kept."""
        if self.unk_token_id not in kept:
            return 0.0
        text = without_lone_surrogates(text)
        pieces = self.encode_pieces(text)
        text, count = text.replace("\ufffd", " "), len(kept)  # as the vocabularies read it
        return self.unknown_share(
            text, Pieces(token_ids=pieces.token_ids[:count], offsets=pieces.offsets[:count])
        )

    def _checked_ids(self, text: str) -> list[int]:
        check_text(text)
        ids = [] if text.isspace() else self._ids_of(without_lone_surrogates(text))
        if not ids:
            raise InputError("text is empty or has only whitespace: pass text with words in it")
        return ids

    def _ids_of(self, text: str) -> list[int]:
        if self.newlines == "original":
            text = text.replace("\n", NEWLINE_PIECE)
        if not self._as_written and not self._normalized:
            return self._vocabulary.encode(text)
        return [each for ids, _ in self._read(text, self._as_written) for each in ids]

    def _read(self, text: str, as_written: TokenFinder) -> Iterator[tuple[list[int], Offsets]]:
        """Ids of a text and the characters that they stand for, part by part."""
        parts = list(as_written.cut(text))
        added = self._literals.keys()
        for part, following in itertools.zip_longest(parts, parts[1:]):
            if part.token is not None:
                yield [part.token.token_id], [(part.start, part.end)]
                continue
            token = None if following is None else following.token
            ends = token is None or token.token_id not in added
            for ids, offsets in self._read_between(
                text[part.start : part.end], starts=part.start == 0, ends=ends
            ):
                yield ids, [(part.start + start, part.start + end) for start, end in offsets]

    def _read_between(
        self, text: str, *, starts: bool, ends: bool
    ) -> Iterator[tuple[list[int], Offsets]]:
        """Of a part without tokens as they are written: those that are normalised, and the rest."""
        if self._normalized:
            normalized, places = self._vocabulary.normalize(text)
            parts = list(self._normalized.cut(normalized))
        if not self._normalized or all(part.token is None for part in parts):
            yield self._vocabulary.encode_pieces(text, starts=starts, ends=ends)
            return
        for part in parts:
            if part.token is not None:
                yield [part.token.token_id], [(places[part.start], places[part.end])]
                continue
            ids, offsets = self._vocabulary.encode_normalized(
                normalized[part.start : part.end],
                starts=starts and part.start == 0,
                ends=ends and part.end == len(normalized),
            )
            yield (
                ids,
                [(places[part.start + start], places[part.start + end]) for start, end in offsets],
            )


def _own_tokens(vocabulary: Vocabulary, spec: TokenizerSpec) -> list[AddedToken]:
    """The model's special tokens, but for those that the checkpoint lists among the added ones."""
    added = {token.content for token in spec.added_tokens}
    return [
        AddedToken(content=content, token_id=token_id, special=True)
        for content, token_id in vocabulary.special_tokens.items()
        if content not in added
    ]


def _find_as_written(tokens: list[AddedToken]) -> TokenFinder:
    return TokenFinder(tokens, [token.content for token in tokens])


def _literals(
    as_written: list[AddedToken], normalized: list[AddedToken], spellings: list[str]
) -> dict[int, str]:
    """What each added token is decoded to: as tokenizers does, a normalised one to its spelling."""
    literals = {token.token_id: token.content for token in as_written}
    literals |= {
        token.token_id: spelling for token, spelling in zip(normalized, spellings, strict=True)
    }
    return literals | {token.token_id: "" for token in (*as_written, *normalized) if token.special}


def _integers(values: Iterable[int]) -> list[int]:
    try:
        return [operator.index(value) for value in values]
    except TypeError as err:
        raise InputError(f"token ids must be a flat sequence of integers: {err}") from err
