"""A msgpack file of Flax as a tree: its tensors are not read but found.

msgpack's own reader copies every tensor twice, and all of them before the first can be let go.
Source: the msgpack specification; flax, `flax/serialization.py`.
"""

from collections.abc import Mapping
from typing import BinaryIO, Final, TypeAlias

from pegasus_export.checkpoint.formats.stored_tensor import StoredTensor

__all__ = ["Tree", "read_tree"]

Tree: TypeAlias = "dict[str, Tree] | StoredTensor | int | bool"

_MAX_DEPTH: Final = 32
_MAX_ITEMS: Final = 20_000
_MAX_TEXT_BYTES: Final = 512
_MAX_RANK: Final = 8
_ARRAY_EXTENSION: Final = 1
_CHUNKED: Final = "__msgpack_chunked_array__"

# First byte -> how many bytes after it hold a length or a number.
_STRINGS: Final[Mapping[int, int]] = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BINARIES: Final[Mapping[int, int]] = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_ARRAYS: Final[Mapping[int, int]] = {0xDC: 2, 0xDD: 4}
_MAPS: Final[Mapping[int, int]] = {0xDE: 2, 0xDF: 4}
_UNSIGNED: Final[Mapping[int, int]] = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_EXTENSIONS: Final[Mapping[int, int]] = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS: Final[Mapping[int, int]] = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def read_tree(file: BinaryIO, size: int) -> Tree:
    """The one object in a file of `size` bytes. Raises: ValueError where it is damaged."""
    reader = _Reader(file, size)
    tree = reader.read_tree("", depth=0)
    if reader.left(size):
        raise ValueError(f"{reader.left(size)} bytes follow its end")
    return tree


class _Reader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size, self._items = file, size, 0

    def left(self, end: int) -> int:
        """Bytes from here to there."""
        return end - self._file.tell()

    def read_tree(self, place: str, *, depth: int) -> Tree:
        """What starts here: a map, a tensor, or one of the numbers that describe a tensor."""
        self._items += 1
        if depth > _MAX_DEPTH or self._items > _MAX_ITEMS:
            raise ValueError(f"it holds more than {_MAX_ITEMS} entries, or too deep ones")
        kind = self._read_int(1)
        if kind in (0xC2, 0xC3):
            return kind == 0xC3
        if kind < 0x80 or kind in _UNSIGNED:
            return kind if kind < 0x80 else self._read_int(_UNSIGNED[kind])
        if 0x80 <= kind < 0x90 or kind in _MAPS:
            count = kind & 0x0F if kind < 0x90 else self._read_int(_MAPS[kind])
            return self._read_map(place, count, depth)
        if kind in _EXTENSIONS or kind in _FIXED_EXTENSIONS:
            return self._read_extension(place, kind)
        raise ValueError(f"{place or 'it'} is of kind 0x{kind:02x}, expected a map or a tensor")

    def _read_map(self, place: str, count: int, depth: int) -> Tree:
        children: dict[str, Tree] = {}
        for _ in range(count):
            key = self._read_text()
            name = f"{place}.{key}" if place else key
            if key in children:
                raise ValueError(f"{name} is there twice")
            children[key] = self.read_tree(name, depth=depth + 1)
        return _join_chunks(place, children) if _CHUNKED in children else children

    def _read_extension(self, place: str, kind: int) -> StoredTensor:
        """An array of Flax: its shape, type and bytes, as an array of msgpack within."""
        size = self._read_int(_EXTENSIONS[kind]) if kind in _EXTENSIONS else _FIXED_EXTENSIONS[kind]
        code = self._read_int(1)
        if code != _ARRAY_EXTENSION:
            raise ValueError(f"{place} is msgpack's extension {code}, expected a tensor, {1}")
        end = self._file.tell() + size
        if end > self._size:
            raise ValueError(f"{place} ends at byte {end} of {self._size}")
        if self._read_count(0x90, _ARRAYS) != 3:
            raise ValueError(f"{place} has no shape, type and bytes")
        rank = self._read_count(0x90, _ARRAYS)
        if rank > _MAX_RANK:
            raise ValueError(f"{place} has {rank} dimensions")
        shape = tuple(self._read_number() for _ in range(rank))
        dtype = self._read_text()
        length = self._read_int(_BINARIES.get(self._read_int(1), 0))
        if self.left(end) != length:
            raise ValueError(f"{place} has {length} bytes in {self.left(end)}")
        offset = self._file.tell()
        self._file.seek(end)
        return StoredTensor(name=place, shape=shape, dtype=dtype, pieces=((offset, length),))

    def _read_text(self) -> str:
        length = self._read_count(0xA0, _STRINGS, mask=0x1F)
        if length > _MAX_TEXT_BYTES:
            raise ValueError(f"a name has {length} bytes")
        return self._read(length).decode()

    def _read_number(self) -> int:
        kind = self._read_int(1)
        if kind < 0x80:
            return kind
        if kind not in _UNSIGNED:
            raise ValueError(f"a dimension is of kind 0x{kind:02x}")
        return self._read_int(_UNSIGNED[kind])

    def _read_count(self, short: int, long: Mapping[int, int], *, mask: int = 0x0F) -> int:
        """The length in the first byte, or in those that it announces."""
        kind = self._read_int(1)
        if kind & ~mask == short:
            return kind & mask
        if kind not in long:
            raise ValueError(f"a length is of kind 0x{kind:02x}")
        return self._read_int(long[kind])

    def _read_int(self, count: int) -> int:
        return int.from_bytes(self._read(count), "big")

    def _read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError(f"it ends at byte {self._size}, within a value")
        return data


def _join_chunks(place: str, children: Mapping[str, Tree]) -> StoredTensor:
    """An array of more than 2^30 bytes, which Flax writes in pieces."""
    shape, chunks = _in_order(place, children, "shape"), _in_order(place, children, "chunks")
    sizes = [size for size in shape if isinstance(size, int)]
    parts = [part for part in chunks if isinstance(part, StoredTensor)]
    if len(sizes) < len(shape) or len(parts) < len(chunks) or not parts:
        raise ValueError(f"{place} is in pieces that do not make a tensor")
    if len({part.dtype for part in parts}) != 1:
        raise ValueError(f"{place} is in pieces of several types")
    return StoredTensor(
        name=place,
        shape=tuple(sizes),
        dtype=parts[0].dtype,
        pieces=tuple(piece for part in parts for piece in part.pieces),
    )


def _in_order(place: str, children: Mapping[str, Tree], key: str) -> list[Tree]:
    """Flax writes lists as maps from "0", "1" and so on."""
    items = children.get(key)
    if not isinstance(items, dict) or set(items) != {str(number) for number in range(len(items))}:
        raise ValueError(f"{place} is in pieces without their {key}")
    return [items[str(number)] for number in range(len(items))]
