"""Text -> token ids and back, on SentencePiece alone.

The reference is raw SentencePiece, which the models were trained with. Ids 0..105 are special in
both layouts and never come out of text, except 105 `<unk>` for what the vocabulary lacks, unless
`parse_special_tokens` is on. Piece 106 `<n>` is an ordinary one.

layout            ids                                                             offset
pegasus           0 <pad>, 1 </s>, 2 <mask_1>, 3 <mask_2>, 4..104 <unk_2>..<unk_102>,   103
                  105 <unk>, then piece + 103
bigbird_pegasus   the pieces themselves: 2 <s>, 65 [CLS], 66 [SEP], 67 [MASK], 105 <unk>  0

Where transformers 5.23 differs, for PEGASUS:
- whitespace at the end of the text, or before a parsed special token, gives an extra `▁` (110);
- a combining mark after some compatibility characters (`…`, fullwidth forms) is lost;
- of two segmentations with equal scores it may take the other (three or more primes in a row);
- decoding ids that start with `▁` keeps that space.
For BigBirdPegasus, transformers 5.23 gives other ids than the models were trained with.
"""

import itertools
import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import sentencepiece

from pegasus_runtime.bundle.manifest import TOKENIZER_OFFSETS, TokenizerLayout
from pegasus_runtime.errors import BundleError, InputError, OptionsError

__all__ = ["Encoding", "Newlines", "Pieces", "Tokenizer"]

Newlines: TypeAlias = Literal["hf", "original"]

PAD, EOS, UNK = 0, 1, 105  # in both layouts
NEWLINE_PIECE = "<n>"
CONTROL_TYPE = b"\x18\x03"  # sentencepiece_model.proto: SentencePiece.type (field 3) = CONTROL
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
    """A SentencePiece vocabulary under PEGASUS's or BigBirdPegasus's ids.

    Time is linear in the text from SentencePiece 0.2.2 on; before, quadratic in runs of characters
    that the vocabulary lacks. Nothing here changes after loading: `encode` and `decode` may run in
    several threads at once.
    vocab_size: number of ids, as Hugging Face counts them; a model's may be larger (padding).
    special_tokens: literal -> id, of the ids 0..105 that the layout names.
    """

    vocab_size: int
    special_tokens: Mapping[str, int] = field(repr=False)
    newlines: Newlines
    parse_special_tokens: bool
    _offset: int = field(repr=False)
    _processor: sentencepiece.SentencePieceProcessor = field(repr=False)
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
        if layout not in TOKENIZER_OFFSETS:
            raise BundleError(
                f"tokenizer layout is {layout!r}, expected one of {', '.join(TOKENIZER_OFFSETS)}"
            )
        if newlines not in ("hf", "original"):
            raise OptionsError(f"newlines is {newlines!r}, expected 'hf' or 'original'")
        path, offset = Path(path), TOKENIZER_OFFSETS[layout]
        processor = _load_processor(path, offset)
        has_newline = processor.piece_to_id(NEWLINE_PIECE) != processor.unk_id()
        if newlines == "original" and not has_newline:
            raise BundleError(f"{path}: has no piece {NEWLINE_PIECE}: use newlines='hf'")
        special_tokens = _special_tokens(processor, layout)
        literals = sorted(special_tokens, key=len, reverse=True)
        return cls(
            vocab_size=processor.get_piece_size() + offset,
            special_tokens=special_tokens,
            newlines=newlines,
            parse_special_tokens=parse_special_tokens,
            _offset=offset,
            _processor=processor,
            _special_pattern=re.compile("(" + "|".join(map(re.escape, literals)) + ")"),
        )

    @property
    def pad_token_id(self) -> int:
        """Id that fills a batch on the right."""
        return PAD

    @property
    def eos_token_id(self) -> int:
        """Id that ends every encoded text."""
        return EOS

    @property
    def unk_token_id(self) -> int:
        """Id of what the vocabulary lacks."""
        return UNK

    @property
    def special_ids(self) -> range:
        """The ids that `decode` leaves out: 0..105."""
        return range(UNK + 1)

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
        if not isinstance(text, str):
            raise InputError(f"text is {type(text).__name__}, expected str: decode it first")
        if max_tokens is not None and max_tokens < MIN_TOKENS:
            raise OptionsError(
                f"max_tokens is {max_tokens}, expected at least {MIN_TOKENS}: a token and EOS"
            )
        ids = [] if text.isspace() else self._ids_of(_without_lone_surrogates(text))
        if not ids:
            raise InputError("text is empty or has only whitespace: pass text with words in it")
        num_tokens = len(ids) + 1
        if max_tokens is None or num_tokens <= max_tokens:
            return Encoding(token_ids=(*ids, EOS), truncated=False, num_tokens_before=num_tokens)
        if not truncate:
            raise InputError(
                f"source has {num_tokens} tokens, the bundle takes {max_tokens}: shorten it, "
                f"pass truncate=True (--truncate), or export with --max-source-tokens {num_tokens}"
            )
        kept = (*ids[: max_tokens - 1], EOS)
        return Encoding(token_ids=kept, truncated=True, num_tokens_before=num_tokens)

    def encode_pieces(self, text: str) -> Pieces:
        """Encode one text, and say where in it each token comes from.

        Newlines are read as spaces and special tokens as text, whatever the tokenizer does
        otherwise. Raises: InputError if the text is no str or empty.
        """
        if not isinstance(text, str):
            raise InputError(f"text is {type(text).__name__}, expected str: decode it first")
        found = self._processor.encode(_without_lone_surrogates(text), return_type="offset_mapping")
        if not found["ids"] or text.isspace():
            raise InputError("text is empty or has only whitespace: pass text with words in it")
        return Pieces(
            token_ids=tuple(piece + self._offset for piece in found["ids"]),
            offsets=tuple((start, end) for start, end in found["offsets"]),
        )

    def decode(self, token_ids: Iterable[int]) -> str:
        """Text of the ids, special ones left out.

        Ids from vocab_size on, which a model with padded embeddings can produce, have no text:
        they raise rather than vanish. Raises: InputError for those and for what is no integer.
        """
        pieces = []
        for token_id in _integers(token_ids):
            if not 0 <= token_id < self.vocab_size:
                raise InputError(
                    f"token id {token_id} is outside the vocabulary of {self.vocab_size}: pass ids "
                    "from this bundle; padding rows of a model can be kept out by suppress_tokens"
                )
            if token_id > UNK:
                pieces.append(token_id - self._offset)
        text: str = self._processor.decode(pieces) if pieces else ""
        return text.replace(NEWLINE_PIECE, "\n") if self.newlines == "original" else text

    def _ids_of(self, text: str) -> list[int]:
        if self.newlines == "original":
            text = text.replace("\n", NEWLINE_PIECE)
        if not self.parse_special_tokens:
            return self._ids_of_plain(text)
        ids = []
        for part in self._special_pattern.split(text):
            if part in self.special_tokens:
                ids.append(self.special_tokens[part])
            else:
                ids += self._ids_of_plain(part)
        return ids

    def _ids_of_plain(self, text: str) -> list[int]:
        return [piece + self._offset for piece in self._processor.encode(text)]


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


def _load_processor(path: Path, offset: int) -> sentencepiece.SentencePieceProcessor:
    """Load a vocabulary whose special pieces cannot come out of text.

    BigBirdPegasus's has `<s>`, `[MASK]`, `<t>` and some hundred others as user-defined symbols,
    which any text could spell; as control symbols they keep their ids and stay out of its reach.
    """
    try:
        model = path.read_bytes()
    except OSError as err:
        raise BundleError(f"{path}: the tokenizer cannot be read: {err.strerror}") from err
    processor = _processor_from(model, path)
    got = (processor.pad_id(), processor.eos_id(), processor.unk_id())
    expected = (PAD, EOS, UNK - offset)
    if got != expected:
        raise BundleError(
            f"{path}: has (pad, eos, unk) at pieces {got}, expected {expected}: "
            "not a vocabulary of this layout"
        )
    if _spells_special(processor):
        processor = _processor_from(_with_control_pieces(model, processor.unk_id()), path)
        if _spells_special(processor):
            raise BundleError(
                f"{path}: its special pieces cannot be kept apart from text: not as SentencePiece "
                "writes it; use the checkpoint's own file"
            )
    return processor


def _processor_from(model: bytes, path: Path) -> sentencepiece.SentencePieceProcessor:
    try:
        if not model:  # SentencePiece would take it for "no model given"
            raise ValueError("empty file")
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        processor.id_to_piece(list(range(processor.get_piece_size())))  # each must be UTF-8
    except (RuntimeError, ValueError) as err:
        raise BundleError(
            f"{path}: not a SentencePiece model: export the checkpoint again"
        ) from err
    return processor


def _spells_special(processor: sentencepiece.SentencePieceProcessor) -> bool:
    """Whether some text could yield a special id below UNK."""
    return not all(processor.is_control(piece) for piece in range(processor.unk_id()))


def _with_control_pieces(model: bytes, count: int) -> bytes:
    """Turn the first `count` pieces of a serialized ModelProto into control symbols.

    SentencePiece writes `repeated SentencePiece pieces = 1` before all else; of a field that is set
    twice, protobuf reads the last.
    """
    head = b""
    end = 0
    for start, end in itertools.islice(_piece_spans(model), count):
        head += b"\x0a" + _varint(end - start + len(CONTROL_TYPE)) + model[start:end] + CONTROL_TYPE
    return head + model[end:]


def _piece_spans(model: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each SentencePiece message (field 1, length-delimited: tag 0x0a)."""
    position = 0
    while position < len(model) and model[position] == 0x0A:
        length, shift, position = 0, 0, position + 1
        while True:
            byte = model[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield position, position + length
        position += length


def _varint(value: int) -> bytes:
    """Protobuf's base-128 integer, least significant group first."""
    groups = b""
    while value >= 0x80:
        groups += bytes([value & 0x7F | 0x80])
        value >>= 7
    return groups + bytes([value])


def _special_tokens(
    processor: sentencepiece.SentencePieceProcessor, layout: TokenizerLayout
) -> dict[str, int]:
    """Literal -> id of the special tokens 0..105."""
    if layout == "bigbird_pegasus":
        return {processor.id_to_piece(index): index for index in range(UNK + 1)}
    masks = {"<mask_1>": 2, "<mask_2>": 3}
    unknowns = {f"<unk_{number}>": number + 2 for number in range(2, 103)}
    return {"<pad>": PAD, "</s>": EOS, **masks, **unknowns, "<unk>": UNK}
