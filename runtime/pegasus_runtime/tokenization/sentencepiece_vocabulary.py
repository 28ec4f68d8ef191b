"""A SentencePiece vocabulary under PEGASUS's or BigBirdPegasus's ids.

layout            ids                                                             offset
pegasus           0 <pad>, 1 </s>, 2 <mask_1>, 3 <mask_2>, 4..104 <unk_2>..<unk_102>,   103
                  105 <unk>, then piece + 103
bigbird_pegasus   the pieces themselves: 2 <s>, 65 [CLS], 66 [SEP], 67 [MASK], 105 <unk>  0
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sentencepiece

from pegasus_runtime.bundle.manifest import TOKENIZER_OFFSETS, TokenizerLayout
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tokenization.model_proto import with_control_pieces

__all__ = ["SentencePieceVocabulary"]

PAD, EOS, UNK = 0, 1, 105  # in both layouts
NEWLINE_PIECE = "<n>"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentencePieceVocabulary:
    """Pieces and their ids: id = piece + offset, from piece 2 on.

    Time is linear in the text from SentencePiece 0.2.2 on; before, quadratic in runs of characters
    that the vocabulary lacks.
    """

    size: int
    special_tokens: Mapping[str, int] = field(repr=False)
    has_newlines: bool
    _offset: int = field(repr=False)
    _processor: sentencepiece.SentencePieceProcessor = field(repr=False)

    @classmethod
    def load(cls, path: Path, layout: TokenizerLayout) -> "SentencePieceVocabulary":
        """Load spiece.model.

        Raises: BundleError if the file is missing, is not SentencePiece's, or has another layout.
        """
        if layout not in TOKENIZER_OFFSETS:
            raise BundleError(
                f"tokenizer layout is {layout!r}, expected one of {', '.join(TOKENIZER_OFFSETS)}"
            )
        offset = TOKENIZER_OFFSETS[layout]
        processor = _load_processor(path, offset)
        return cls(
            size=processor.get_piece_size() + offset,
            special_tokens=_special_tokens(processor, layout),
            has_newlines=processor.piece_to_id(NEWLINE_PIECE) != processor.unk_id(),
            _offset=offset,
            _processor=processor,
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
        """The ids that stand for no text: 0..105."""
        return range(UNK + 1)

    def encode(self, text: str) -> list[int]:
        """Ids of plain text."""
        return [piece + self._offset for piece in self._processor.encode(text)]

    def encode_pieces(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids of plain text, and the characters that each stands for."""
        found = self._processor.encode(text, return_type="offset_mapping")
        ids = [piece + self._offset for piece in found["ids"]]
        return ids, [(start, end) for start, end in found["offsets"]]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ids that are not special."""
        if not token_ids:
            return ""
        text: str = self._processor.decode([token_id - self._offset for token_id in token_ids])
        return text


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
        processor = _processor_from(with_control_pieces(model, processor.unk_id()), path)
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


def _special_tokens(
    processor: sentencepiece.SentencePieceProcessor, layout: TokenizerLayout
) -> dict[str, int]:
    """Literal -> id of the special tokens 0..105."""
    if layout == "bigbird_pegasus":
        return {processor.id_to_piece(index): index for index in range(UNK + 1)}
    masks = {"<mask_1>": 2, "<mask_2>": 3}
    unknowns = {f"<unk_{number}>": number + 2 for number in range(2, 103)}
    return {"<pad>": PAD, "</s>": EOS, **masks, **unknowns, "<unk>": UNK}
