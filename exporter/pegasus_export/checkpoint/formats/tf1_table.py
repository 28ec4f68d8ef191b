"""The .index of a TF1 checkpoint: a sorted table of what LevelDB calls blocks, of protobufs.

Source: TensorFlow, `core/lib/io/table_format.txt`, `core/protobuf/tensor_bundle.proto`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pegasus_export.checkpoint.formats.crc32c import masked_crc32c
from pegasus_export.errors import CheckpointError

__all__ = ["Table", "TableEntry", "read_table"]

_MAGIC: Final = 0xDB4775248B80FB57
_FOOTER_BYTES: Final = 48
_TRAILER_BYTES: Final = 5  # of a block: how it is compressed, and a checksum
# Bounds of what is read: PEGASUS-large with its optimizer has 2,000 entries in 150 kB.
_MAX_INDEX_BYTES: Final = 1 << 23
_MAX_KEY_BYTES: Final = 512
_MAX_ENTRIES: Final = 100_000
_MAX_VARINT_BYTES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEntry:
    """Where a variable lies: bytes [offset, offset + size) of a data file, summed up in crc.

    dtype: number of TensorFlow's DataType. sliced: whether it lies in parts, under other keys.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    sliced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The variables by their names, and what holds for all of them."""

    num_shards: int
    big_endian: bool
    entries: dict[str, TableEntry]


def read_table(path: Path) -> Table:
    """Read an .index file; every block of it is held against its checksum.

    Raises: CheckpointError.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_INDEX_BYTES + 1)
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the disk, or download it again"
        ) from err
    try:
        return _read_bundle(data)
    except ValueError as err:
        raise CheckpointError(f"{path} is damaged ({err}): download it again") from err


def _read_bundle(data: bytes) -> Table:
    if len(data) > _MAX_INDEX_BYTES:
        raise ValueError(f"it is larger than {_MAX_INDEX_BYTES} bytes")
    if len(data) < _FOOTER_BYTES or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as a table of TensorFlow does")
    footer = data[-_FOOTER_BYTES:]
    _, at = _read_handle(footer, 0)  # of the meta index, which is empty
    (offset, size), _ = _read_handle(footer, at)
    messages: dict[str, bytes] = {}
    for _, handle in _read_block(data, offset, size):
        (offset, size), _ = _read_handle(handle, 0)
        for key, message in _read_block(data, offset, size):
            name = key.decode()
            if name in messages or len(messages) == _MAX_ENTRIES:
                raise ValueError(f"{name!r} is there twice, or more than {_MAX_ENTRIES} others")
            messages[name] = message
    if "" not in messages:
        raise ValueError("it has no header")
    header = _read_message(messages.pop(""))
    return Table(
        num_shards=_int(header, 1),
        big_endian=_int(header, 2) == 1,
        entries={name: _read_entry(message) for name, message in messages.items()},
    )


def _read_block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """The entries of a block: each key is stored as what it does not share with the one before."""
    end = offset + size
    if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES:
        raise ValueError(f"a block ends at byte {end} of {len(data)}")
    (checksum,) = struct.unpack_from("<I", data, end + 1)
    if masked_crc32c(data[offset : end + 1]) != checksum:
        raise ValueError(f"the block at byte {offset} does not have its checksum")
    if data[end] != 0:
        raise ValueError("a block is compressed, which TensorFlow's own writer never does")
    block = data[offset:end]
    if size < 4:
        raise ValueError(f"the block at byte {offset} has {size} bytes")
    (num_restarts,) = struct.unpack("<I", block[-4:])
    stop = size - 4 - 4 * num_restarts
    key, at = b"", 0
    while at < stop:
        shared, at = _read_varint(block, at)
        rest, at = _read_varint(block, at)
        length, at = _read_varint(block, at)
        if shared > len(key) or shared + rest > _MAX_KEY_BYTES or at + rest + length > stop:
            raise ValueError(f"the block at byte {offset} has an entry of impossible lengths")
        key = key[:shared] + block[at : at + rest]
        at += rest
        yield key, block[at : at + length]
        at += length


def _read_handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = _read_varint(data, at)
    size, at = _read_varint(data, at)
    return (offset, size), at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first, and where the next value starts."""
    value = 0
    for count in range(_MAX_VARINT_BYTES):
        if at + count >= len(data):
            break
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, at + count + 1
    raise ValueError("a number has no end")


def _read_entry(message: bytes) -> TableEntry:
    fields = _read_message(message)
    shape = _read_message(_bytes(fields, 2))
    return TableEntry(
        dtype=_int(fields, 1),
        shape=tuple(_int(_read_message(_check_bytes(dim)), 1) for dim in shape.get(2, ())),
        shard=_int(fields, 3),
        offset=_int(fields, 4),
        size=_int(fields, 5),
        crc=_int(fields, 6),
        sliced=7 in fields,
    )


Fields = dict[int, list[int | bytes]]


def _read_message(message: bytes) -> Fields:
    """A protobuf's values by the numbers of their fields."""
    fields: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        value: int | bytes
        match tag & 7:
            case 0:
                value, at = _read_varint(message, at)
            case 2:
                length, at = _read_varint(message, at)
                value, at = message[at : at + length], at + length
            case 5:
                value, at = int.from_bytes(message[at : at + 4], "little"), at + 4
            case 1:
                value, at = int.from_bytes(message[at : at + 8], "little"), at + 8
            case kind:
                raise ValueError(f"a protobuf has a field of kind {kind}")
        if at > len(message):
            raise ValueError("a protobuf ends within a field")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _int(fields: Fields, number: int) -> int:
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {number} of a protobuf is no number")
    return value


def _bytes(fields: Fields, number: int) -> bytes:
    return _check_bytes(fields.get(number, [b""])[-1])


def _check_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a field of a protobuf is a number, expected a message")
    return value
