"""Which bytes of which files an ONNX graph takes for its weights, read from the graph itself.

Of a protocol buffer just the fields on the way are read.

Source: onnx/onnx.proto3; https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["GraphWeight", "read_graph_weights"]

# Field numbers: message -> what leads to a tensor.
_MODEL = {7: "graph", 25: "function"}
_GRAPH = {1: "node", 5: "tensor", 15: "sparse"}
_FUNCTION = {7: "node"}
_NODE = {5: "attribute"}
_ATTRIBUTE = {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"}
_SPARSE = {1: "tensor", 2: "tensor"}
_WAYS: Mapping[str, Mapping[int, str]] = {
    "model": _MODEL,
    "graph": _GRAPH,
    "function": _FUNCTION,
    "node": _NODE,
    "attribute": _ATTRIBUTE,
    "sparse": _SPARSE,
}
_DIMS, _DATA_TYPE, _NAME, _EXTERNAL = 1, 2, 8, 13
_DTYPES: Mapping[int, str] = {1: "float32", 3: "int8", 10: "float16"}
_KEY = b"location"  # of external data: what has none of it is passed over
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphWeight:
    """A tensor whose bytes lie in another file. length: None where the graph does not say it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    location: str
    offset: int
    length: int | None = None


def read_graph_weights(model: bytes) -> list[GraphWeight]:
    """All tensors of a ModelProto that lie in other files, those of subgraphs and functions too.

    Raises: ValueError if it is no such message.
    """
    return list(_walk(memoryview(model), "model", 0))


def _walk(message: memoryview, kind: str, depth: int) -> Iterator[GraphWeight]:
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    ways = _WAYS[kind]
    for number, value in _fields(message):
        way = ways.get(number)
        if way is None or isinstance(value, int):
            continue
        if way == "node" and _KEY not in bytes(value):
            continue
        if way == "tensor":
            yield from _read_tensor(value)
        else:
            yield from _walk(value, way, depth + 1)


def _read_tensor(message: memoryview) -> Iterator[GraphWeight]:
    name, data_type, shape = "", 0, []
    entries: dict[str, str] = {}
    for number, value in _fields(message):
        if number == _DIMS:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif number == _DATA_TYPE and isinstance(value, int):
            data_type = value
        elif number == _NAME and not isinstance(value, int):
            name = str(value, "utf-8")
        elif number == _EXTERNAL and not isinstance(value, int):
            pair = {
                key: str(text, "utf-8")
                for key, text in _fields(value)
                if key in (1, 2) and not isinstance(text, int)
            }
            entries[pair.get(1, "")] = pair.get(2, "")
    if "location" in entries:
        yield GraphWeight(
            name=name,
            dtype=_DTYPES.get(data_type, str(data_type)),
            shape=tuple(shape),
            location=entries["location"],
            offset=_size(entries.get("offset", "0")),
            length=_size(entries["length"]) if "length" in entries else None,
        )


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise ValueError(f"{text[:20]!r} is no place in a file")
    return int(text)


def _packed(message: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(message):
        number, at = _varint(message, at)
        numbers.append(number)
    return numbers


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field: an integer, or bytes; those of fixed size are passed over."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if tag >> 3 == 0:
            raise ValueError("a field without a number")
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif kind == 2:
            size, at = _varint(message, at)
            if at + size > end:
                raise ValueError("it ends within a field")
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of unknown kind {kind}")
    if at > end:
        raise ValueError("it ends within a field")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("it ends within a number")
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
