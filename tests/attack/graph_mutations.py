"""One change of an ONNX graph: attributes, initialisers and where they lie, shapes, nodes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import onnx

__all__ = ["UNLISTED", "mutate_graph"]

UNLISTED = "unlisted.bin"
"""A file that the manifest does not name; the weights lie there, too."""

_NUMBERS = (0, 1, -1, 2, -2, 7, 2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63))
_PLACES = ("../weights.bin", "/etc/passwd", "manifest.json", "nowhere.bin", "", ".", "a\x00b")


def mutate_graph(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Another model, and in words how it differs."""
    model = onnx.load_model_from_string(data)
    for _ in range(20):
        words = rng.choice(_MUTATIONS)(model.graph, rng)
        if words:
            return model.SerializeToString(), words
    model.opset_import[0].version = rng.choice((0, 1, 99, 2**40))
    return model.SerializeToString(), f"opset {model.opset_import[0].version}"


def _attribute(graph: Any, rng: random.Random) -> str:
    node = rng.choice(graph.node)
    if not node.attribute:
        return ""
    attribute = rng.choice(node.attribute)
    if attribute.type == onnx.AttributeProto.INT:
        attribute.i = rng.choice(_NUMBERS)
    elif attribute.type == onnx.AttributeProto.INTS and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = rng.choice((b"", b"x", b"NOTSET", b"x" * 1000))
    else:
        attribute.type = onnx.AttributeProto.INT
    return f"{node.op_type}.{attribute.name}"


def _external(graph: Any) -> list[Any]:
    return [each for each in graph.initializer if each.external_data]


def _unlisted(graph: Any, rng: random.Random) -> str:
    found = _external(graph)
    for entry in (entry for each in found for entry in each.external_data):
        if entry.key == "location":
            entry.value = UNLISTED
    return f"weights in {UNLISTED}" if found else ""


def _location(graph: Any, rng: random.Random) -> str:
    found = _external(graph)
    if not found:
        return ""
    tensor = rng.choice(found)
    entry = rng.choice(tensor.external_data)
    if entry.key == "location":
        entry.value = rng.choice(_PLACES)
    else:
        value = int(entry.value) if entry.value.isdigit() else 0
        entry.value = str(rng.choice([*_NUMBERS, value + 4, value - 4, value + 4096, "x", ""]))
    return f"{entry.key} of {tensor.name}: {entry.value!r}"


def _initializer(graph: Any, rng: random.Random) -> str:
    if not graph.initializer:
        return ""
    tensor = rng.choice(graph.initializer)
    how = rng.choice(("dims", "type", "name", "rank", "data"))
    if how == "dims" and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_NUMBERS)
    elif how == "type":
        tensor.data_type = rng.randrange(24)
    elif how == "name":
        tensor.name += "_"
    elif how == "rank":
        tensor.dims.append(rng.choice((0, 1, 2)))
    elif tensor.raw_data:
        tensor.raw_data = rng.randbytes(len(tensor.raw_data))
    else:
        return ""
    return f"initialiser {tensor.name}: {how}"


def _value(graph: Any, rng: random.Random) -> str:
    value = rng.choice([*graph.input, *graph.output])
    shape, how = value.type.tensor_type.shape, rng.choice(("dim", "type", "name", "rank"))
    if how == "dim" and shape.dim:
        rng.choice(shape.dim).dim_value = rng.choice(_NUMBERS)
    elif how == "type":
        value.type.tensor_type.elem_type = rng.randrange(24)
    elif how == "name":
        value.name += "_"
    else:
        shape.dim.add().dim_value = 1
    return f"{value.name}: {how}"


def _node(graph: Any, rng: random.Random) -> str:
    index = rng.randrange(len(graph.node))
    node = graph.node[index]
    how = rng.choice(("drop", "operator", "domain", "input", "no input", "twice", "output"))
    words = f"node {index} {node.op_type}: {how}"
    if how == "drop":
        del graph.node[index]
    elif how == "operator":
        node.op_type = rng.choice([each.op_type for each in graph.node])
    elif how == "domain":
        node.domain = rng.choice(("", "com.microsoft", "x"))
    elif how == "twice":
        graph.node.append(node)
    elif how == "output" and node.output:
        node.output[0] += "_"
    elif node.input:
        names = [""] if how == "no input" else [each.output[0] for each in graph.node]
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    return words


_MUTATIONS: tuple[Callable[[Any, random.Random], str], ...] = (
    *(_attribute, _location, _location, _initializer, _value, _node, _unlisted),
)
