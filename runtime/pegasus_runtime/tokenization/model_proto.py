"""A serialized SentencePiece model, changed where it must be without protobuf's library.

sentencepiece_model.proto: ModelProto.pieces is field 1 and normalizer_spec field 3;
SentencePiece.type is field 3. Of a field that is set twice protobuf reads the last, and messages
that come twice are merged.
"""

import itertools
from collections.abc import Iterator

__all__ = ["with_control_pieces", "without_normalizer"]

_PIECES_TAG = 0x0A  # field 1, length-delimited
_CONTROL_TYPE = b"\x18\x03"  # field 3 = CONTROL
# normalizer_spec {precompiled_charsmap: "" add_dummy_prefix: false
# remove_extra_whitespaces: false escape_whitespaces: false}
_NO_NORMALIZER = b"\x1a\x08\x12\x00\x18\x00\x20\x00\x28\x00"


def with_control_pieces(model: bytes, count: int) -> bytes:
    """Turn the first `count` pieces of a serialized ModelProto into control symbols.

    SentencePiece writes the pieces before all else.
    """
    head = b""
    end = 0
    for start, end in itertools.islice(_piece_spans(model), count):
        length = _varint(end - start + len(_CONTROL_TYPE))
        head += bytes([_PIECES_TAG]) + length + model[start:end] + _CONTROL_TYPE
    return head + model[end:]


def without_normalizer(model: bytes) -> bytes:
    """A model that takes text as it is: normalised, with `▁` for spaces."""
    return model + _NO_NORMALIZER


def _piece_spans(model: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of each SentencePiece message."""
    position = 0
    while position < len(model) and model[position] == _PIECES_TAG:
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
