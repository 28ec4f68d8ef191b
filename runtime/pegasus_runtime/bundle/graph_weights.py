"""Which bytes of which files an ONNX graph takes for its weights, read from the graph itself.

ONNX Runtime opens whatever a graph names, and takes an array in place of an initialiser without a
look at its type or size. So both are compared with the manifest beforehand: a graph may read listed
files only, and a table of the manifest is the very initialiser, or input, that the graph has.

Of a protocol buffer just the fields on the way are read.

Source: onnx/onnx.proto3; https://protobuf.dev/programming-guides/encoding.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pegasus_runtime.bundle.folder import Bundle
from pegasus_runtime.bundle.manifest import TableSpec
from pegasus_runtime.errors import BundleError

__all__ = ["GraphWeight", "check_graph_weights", "read_graph_weights"]

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
    length: int | None = field(default=None)


def check_graph_weights(bundle: Bundle, name: str) -> None:
    """Raises: BundleError if graph `name` reads what the manifest does not list, or a table of the
    manifest is not as the graph has it."""
    manifest, graph = bundle.manifest, bundle.manifest.graphs[name]
    file = graph.file
    path = bundle.folder / file
    try:
        weights = read_graph_weights(bundle.path(file).read_bytes())
    except (ValueError, OSError) as err:
        raise BundleError(f"{path}: no ONNX graph ({err}): copy the bundle again") from err
    for weight in weights:
        location = _listed_name(file, weight)
        record = manifest.files.get(location)
        if record is None:
            raise BundleError(
                f"{path}: takes {weight.name!r} from {weight.location!r}, which the manifest does "
                "not list: export the checkpoint again"
            )
        if weight.offset + (weight.length or 0) > record.bytes:
            raise BundleError(
                f"{path}: takes {weight.name!r} from beyond the end of {location}: copy the "
                "bundle again, or export again"
            )
    found = {weight.name: weight for weight in weights}
    inputs = {each.name: (each.dtype, each.shape) for each in graph.inputs}
    for table, spec in manifest.tables.items():
        if name not in spec.graphs:
            continue
        is_input = inputs.get(table) == (spec.dtype, spec.shape)
        if not (is_input or _is_same(file, found.get(table), spec)):
            raise BundleError(
                f"manifest.json: tables.{table}: unlike {table!r} of {path}: export the "
                "checkpoint again"
            )


def _listed_name(graph_file: str, weight: GraphWeight) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(graph_file), weight.location))


def _is_same(graph_file: str, weight: GraphWeight | None, table: TableSpec) -> bool:
    return weight is not None and (
        (_listed_name(graph_file, weight), weight.offset, weight.dtype, weight.shape)
        == (table.file, table.offset, table.dtype, table.shape)
    )


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
