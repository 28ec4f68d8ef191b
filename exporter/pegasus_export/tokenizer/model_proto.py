"""A SentencePiece model, read and written without protobuf's library.

sentencepiece_model.proto: ModelProto {pieces = 1, trainer_spec = 2, normalizer_spec = 3};
SentencePiece {piece = 1, score = 2, type = 3}; TrainerSpec {model_type = 3, vocab_size = 4,
unk_id = 40 ... pad_id = 43, unk_piece = 45 ... pad_piece = 48}; NormalizerSpec {name = 1,
precompiled_charsmap = 2, add_dummy_prefix = 3, remove_extra_whitespaces = 4, escape_whitespaces=5}.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "BYTE",
    "CONTROL",
    "NORMAL",
    "UNKNOWN",
    "UNUSED",
    "USER_DEFINED",
    "Piece",
    "is_unigram",
    "read_model",
    "write_model",
]

NORMAL: Final = 1
UNKNOWN: Final = 2
CONTROL: Final = 3
USER_DEFINED: Final = 4
"""Comes out of every text that spells it."""
UNUSED: Final = 5
"""Never comes out of text, and is decoded to what it spells."""
BYTE: Final = 6

_UNIGRAM: Final = 1


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text, its log-probability, and what it is for."""

    text: str
    score: float
    kind: int = NORMAL


def read_model(model: bytes) -> tuple[list[Piece], bytes]:
    """Pieces and charsmap of a model that SentencePiece itself reads."""
    pieces: list[Piece] = []
    charsmap = b""
    for field, value in _fields(model):
        if field == 1:
            pieces.append(_read_piece(value))
        elif field == 3:
            charsmap = next((each for key, each in _fields(value) if key == 2), charsmap)
    return pieces, charsmap


def is_unigram(model: bytes) -> bool:
    """Whether its segmentation is the likeliest; SentencePiece's own default."""
    trainer = b"".join(value for field, value in _fields(model) if field == 2)
    kinds = [value for field, value in _fields(trainer) if field == 3]
    return not kinds or kinds[-1] == _UNIGRAM


def write_model(pieces: Sequence[Piece], *, charsmap: bytes, pad: int, eos: int, unk: int) -> bytes:
    """A Unigram model that reads text as PEGASUS's does, its characters mapped by `charsmap`."""
    model = b"".join(_message(1, _write_piece(piece)) for piece in pieces)
    trainer = _number(3, _UNIGRAM) + _number(4, len(pieces))
    ids = ((40, unk), (41, -1), (42, eos), (43, pad))
    trainer += b"".join(_number(field, number) for field, number in ids)
    names = ((45, unk), (47, eos), (48, pad))
    trainer += b"".join(_message(field, pieces[number].text.encode()) for field, number in names)
    rules = _message(1, b"nmt_nfkc") + _message(2, charsmap)
    rules += b"".join(_number(field, 1) for field in (3, 4, 5))
    return model + _message(2, trainer) + _message(3, rules)


def _read_piece(message: bytes) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for field, value in _fields(message):
        if field == 1:
            text = value.decode()
        elif field == 2:
            score = struct.unpack("<f", value)[0]
        elif field == 3:
            kind = value
    return Piece(text, score, kind)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each: an integer, or what a message, text or float is made of."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        value: int | bytes
        if key & 7 == 0:
            value, position = _read_varint(message, position)
        else:
            length = {1: 8, 5: 4}.get(key & 7)
            if length is None:
                length, position = _read_varint(message, position)
            value, position = message[position : position + length], position + length
        yield key >> 3, value


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """The integer, and where the next field begins."""
    value = shift = 0
    while message[position] >= 0x80:
        value |= (message[position] & 0x7F) << shift
        shift, position = shift + 7, position + 1
    return value | message[position] << shift, position + 1


def _write_piece(piece: Piece) -> bytes:
    score = struct.pack("<Bf", 2 << 3 | 5, piece.score)
    return _message(1, piece.text.encode()) + score + _number(3, piece.kind)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value % (1 << 64))


def _varint(value: int) -> bytes:
    """Base 128, least significant group first."""
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(groups) + bytes([value])
