"""Writes TF1 checkpoints that no Saver writes: other types, several files, and what is refused."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pegasus_export.checkpoint.formats.crc32c import masked_crc32c

__all__ = ["Variable", "block", "table", "varint", "write_checkpoint"]

FLOAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable as its bytes; `shard` is the data file that holds it."""

    data: bytes
    shape: tuple[int, ...]
    dtype: int = FLOAT
    shard: int = 0
    is_sliced: bool = False


def write_checkpoint(
    prefix: Path,
    variables: Mapping[str, Variable],
    *,
    num_shards: int = 1,
    is_big_endian: bool = False,
) -> Path:
    """Write .index and .data-*, and return the prefix."""
    files = [b""] * num_shards
    header = _field(1, num_shards) + _field(2, int(is_big_endian))
    entries = {b"": header}
    for name, variable in sorted(variables.items()):
        shape = b"".join(_field(2, _field(1, size)) for size in variable.shape)
        offset = len(files[variable.shard]) if variable.shard < num_shards else 0
        entries[name.encode()] = (
            _field(1, variable.dtype)
            + _field(2, shape)
            + _field(3, variable.shard)
            + _field(4, offset)
            + _field(5, len(variable.data))
            + varint(6 << 3 | 5)
            + struct.pack("<I", masked_crc32c(variable.data))
            + (_field(7, b"") if variable.is_sliced else b"")
        )
        if variable.shard < num_shards:
            files[variable.shard] += variable.data
    Path(f"{prefix}.index").write_bytes(table(entries))
    for number, data in enumerate(files):
        Path(f"{prefix}.data-{number:05d}-of-{num_shards:05d}").write_bytes(data)
    return prefix


def table(entries: Mapping[bytes, bytes], *, kind: int = 0) -> bytes:
    """A table of one block; kind: how that claims to be compressed."""
    body = b"".join(
        varint(0) + varint(len(key)) + varint(len(value)) + key + value
        for key, value in entries.items()
    )
    return block(body + struct.pack("<II", 0, 1), kind=kind)


def block(data: bytes, *, kind: int = 0) -> bytes:
    """A table whose one block is `data`, with checksums that are right."""
    first = _seal(data, kind)
    handle = varint(0) + varint(len(data))
    entry = varint(0) + varint(1) + varint(len(handle)) + b"~" + handle
    index = entry + struct.pack("<II", 0, 1)
    footer = varint(0) + varint(0) + varint(len(first)) + varint(len(index))
    return first + _seal(index, 0) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def _seal(data: bytes, kind: int) -> bytes:
    sealed = data + bytes([kind])
    return sealed + struct.pack("<I", masked_crc32c(sealed))


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    result = b""
    while value > 0x7F:
        result += bytes([value & 0x7F | 0x80])
        value >>= 7
    return result + bytes([value])
