"""A SentencePiece vocabulary under PEGASUS's or BigBirdPegasus's ids.

published        ids                                                             offset
PEGASUS          0 <pad>, 1 </s>, 2 <mask_1>, 3 <mask_2>, 4..104 <unk_2>..<unk_102>,   103
                 105 <unk>, then piece + 103
BigBirdPegasus   the pieces themselves: 2 <s>, 65 [CLS], 66 [SEP], 67 [MASK], 105 <unk>  0
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sentencepiece

from pegasus_runtime.bundle.tokenizer_spec import TokenizerSpec
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.bounded_file import MAX_VOCABULARY_BYTES, read_bounded
from pegasus_runtime.tokenization.model_proto import with_control_pieces
from pegasus_runtime.tokenization.part_reader import SPACE, PartReader
from pegasus_runtime.tokenization.settled import settle_bytes
from pegasus_runtime.tokenization.vocabulary import Offsets

__all__ = ["NEWLINE_PIECE", "SentencePieceVocabulary"]

NEWLINE_PIECE = "<n>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentencePieceVocabulary:
    """Pieces and their ids: id = piece + offset, from piece 2 on.

    A whole text is raw SentencePiece's, which the models were trained with. A part before an added
    token is read as transformers 5.23 reads it, whose ids a fine-tune with such tokens has seen: a
    space at its end is a token.
    Time is linear in the text from SentencePiece 0.2.2 on; before, quadratic in runs of characters
    that the vocabulary lacks.
    """

    size: int
    special_tokens: Mapping[str, int] = field(repr=False)
    special_ids: frozenset[int] = field(repr=False)
    has_newlines: bool
    _offset: int = field(repr=False)
    _processor: sentencepiece.SentencePieceProcessor = field(repr=False)
    _parts: PartReader | None = field(repr=False)
    """Where there are added tokens, or no space is put in front of every part."""

    @classmethod
    def load(cls, path: Path, spec: TokenizerSpec) -> "SentencePieceVocabulary":
        """Load spiece.model.

        Raises: BundleError if the file is missing, is not SentencePiece's, or has another layout.
        """
        model = _read_model(path, spec)
        processor = _processor_from(model, path)
        special_tokens = _special_tokens(processor, spec)
        return cls(
            size=processor.get_piece_size() + spec.offset,
            special_tokens=special_tokens,
            special_ids=frozenset(special_tokens.values()) | set(range(spec.special_below)),
            has_newlines=processor.piece_to_id(NEWLINE_PIECE) != processor.unk_id(),
            _offset=spec.offset,
            _processor=processor,
            _parts=PartReader.load(model, prepend=spec.prepend, trims=spec.trims)
            if spec.added_tokens or spec.prepend != "always"
            else None,
        )

    def encode(self, text: str, *, starts: bool = True, ends: bool = True) -> list[int]:
        """Ids of plain text."""
        if self._is_raw(ends):
            return [piece + self._offset for piece in self._processor.encode(text)]
        return self.encode_pieces(text, starts=starts, ends=ends)[0]

    def encode_pieces(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """Ids of plain text, and the characters that each stands for."""
        if self._is_raw(ends):
            found = self._processor.encode(text, return_type="offset_mapping")
            ids = [piece + self._offset for piece in found["ids"]]
            return ids, [(start, end) for start, end in found["offsets"]]
        normalized, places = self.normalize(text)
        ids, offsets = self.encode_normalized(normalized, starts=starts, ends=ends)
        return ids, [(places[start], places[end]) for start, end in offsets]

    def normalize(self, text: str) -> tuple[str, list[int]]:
        """Text with its characters mapped and runs of spaces collapsed, and their places."""
        assert self._parts is not None
        return self._parts.normalize(text)

    def encode_normalized(
        self, text: str, *, starts: bool = True, ends: bool = True
    ) -> tuple[list[int], Offsets]:
        """Ids of a part of a normalised text."""
        assert self._parts is not None
        pieces, offsets = self._parts.encode(text, starts=starts, ends=ends)
        return [piece + self._offset for piece in pieces], offsets

    def decode(self, tokens: Sequence[int | str]) -> str:
        """Text of ids that are not special, and of literals between them.

        Spaces at the start are dropped, as SentencePiece does.
        """
        text = ""
        run: list[int] = []
        for token in (*tokens, ""):
            if not isinstance(token, str):
                run.append(token - self._offset)
                continue
            if run:
                text += self._text_of(run, starts=not text)
                run = []
            text += token.replace(SPACE, " ")
        return text

    def decode_settled(self, tokens: Sequence[int | str]) -> str:
        """What the text of these begins with, and that of any that begin with these."""
        return settle_bytes(self.decode(tokens))

    def _text_of(self, pieces: list[int], *, starts: bool) -> str:
        text: str = self._processor.decode(pieces)
        if starts:
            return text
        literal = "".join(self._processor.id_to_piece(pieces))
        return " " * (len(literal) - len(literal.lstrip(SPACE))) + text.lstrip(" ")

    def _is_raw(self, ends: bool) -> bool:
        """Whether SentencePiece itself reads a text as it is to be read."""
        return ends and (self._parts is None or self._parts.prepend == "always")


def _read_model(path: Path, spec: TokenizerSpec) -> bytes:
    """A vocabulary whose special pieces cannot come out of text.

    BigBirdPegasus's has `<s>`, `[MASK]`, `<t>` and some hundred others as user-defined symbols,
    which any text could spell; as control symbols they keep their ids and stay out of its reach.
    """
    try:
        model = read_bounded(path, MAX_VOCABULARY_BYTES)
    except OSError as err:
        raise BundleError(f"{path}: the tokenizer cannot be read: {err.strerror}") from err
    processor = _processor_from(model, path)
    got = (processor.pad_id(), processor.eos_id(), processor.unk_id())
    expected = (spec.pad_token_id, spec.eos_token_id, spec.unk_token_id - spec.offset)
    if got != expected:
        raise BundleError(
            f"{path}: has (pad, eos, unk) at pieces {got}, expected {expected}: "
            "not a vocabulary of this layout"
        )
    count = max(spec.special_below - 1 - spec.offset, 0)
    if _spells_special(processor, count):
        model = with_control_pieces(model, count)
        if _spells_special(_processor_from(model, path), count):
            raise BundleError(
                f"{path}: its special pieces cannot be kept apart from text: not as SentencePiece "
                "writes it; use the checkpoint's own file"
            )
    return model


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


def _spells_special(processor: sentencepiece.SentencePieceProcessor, count: int) -> bool:
    """Whether some text could yield one of the first pieces."""
    return not all(processor.is_control(piece) for piece in range(count))


def _special_tokens(
    processor: sentencepiece.SentencePieceProcessor, spec: TokenizerSpec
) -> dict[str, int]:
    """Literal -> id of the special tokens; those before the first piece have Hugging Face's."""
    pieces = range(processor.get_piece_size())
    is_control = processor.is_control(list(pieces))
    found = {
        processor.id_to_piece(piece): piece if piece < 2 else piece + spec.offset
        for piece in pieces
        if is_control[piece] or piece == processor.unk_id()
    }
    masks = {f"<mask_{number}>": number + 1 for number in range(1, min(spec.offset, 2) + 1)}
    unknowns = {f"<unk_{number}>": number + 2 for number in range(2, spec.offset)}
    return {**masks, **unknowns, **found}
