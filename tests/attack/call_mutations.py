"""One change of a call of domain pegasus_edge: its attributes, and what it is given."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

__all__ = ["has_calls", "mutate_call"]

_DOMAIN = "pegasus_edge"
_NUMBERS = (0, 1, -1, 2, 3, 7, 513, 2**31 - 1, -(2**31), 2**31, 2**40, 2**63 - 1, -(2**63))
_SIZES = (0, 0, 1, 2, 3, 5, 17, 64, 65, 513)
_HUGE = (0, 1, 2**31, 2**32, 2**62, 2**63 - 1)
_FLOATS = (float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-45, 0.0)
_WHOLE: Mapping[str, type[np.signedinteger[Any]]] = {
    "attention_mask": np.int64,
    "num_candidates": np.int64,
    "position": np.int32,
    "cache_indirection": np.int32,
}
"""Inputs of graphs that calls read; what else they compute with is floats."""


def has_calls(path: Path) -> bool:
    """Whether a graph has any."""
    return bool(_calls(onnx.load_model(path, load_external_data=False)))


def _calls(model: Any) -> list[Any]:
    return [node for node in model.graph.node if node.domain == _DOMAIN]


def mutate_call(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Another model, and in words how it differs; it has calls."""
    model = onnx.load_model_from_string(data)
    calls = _calls(model)
    words = ""
    while not words:
        call = rng.choice(calls)
        words = rng.choice(_MUTATIONS)(model.graph, call, rng)
    return model.SerializeToString(), f"{call.op_type}: {words}"


def _attribute(graph: Any, call: Any, rng: random.Random) -> str:
    if not call.attribute:
        return ""
    attribute = rng.choice(call.attribute)
    if rng.random() < 0.2:
        name, value = attribute.name, rng.choice((1.5, "x", [1, 2]))
        call.attribute.remove(attribute)
        call.attribute.append(helper.make_attribute(name, value))
        return f"{name}: {value}"
    if rng.random() < 0.2:
        call.attribute.remove(attribute)
        return f"no {attribute.name}"
    if attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice((*_FLOATS, -1e-5, 1.0))
        return f"{attribute.name}: {attribute.f}"
    attribute.i = rng.choice(_NUMBERS)
    return f"{attribute.name}: {attribute.i}"


def _half(graph: Any, call: Any, rng: random.Random) -> str:
    """Kept or attended with in another precision than others expect."""
    found = [each for each in call.attribute if each.name == "half"]
    for each in found:
        call.attribute.remove(each)
    if not found:
        call.attribute.append(helper.make_attribute("half", 1))
    return "no half" if found else "half"


def _operator(graph: Any, call: Any, rng: random.Random) -> str:
    names = {each.op_type for each in graph.node if each.domain == _DOMAIN}
    call.op_type = rng.choice(sorted({*names, "SourceAttention", "Int8LinearPositiveTransposed"}))
    return "another operator"


def _inputs(graph: Any, call: Any, rng: random.Random) -> str:
    place, other = (rng.randrange(len(call.input)) for _ in range(2))
    how = rng.choice(("swap", "twice", "none", "last", "other", "constant"))
    names = list(call.input)
    if how == "swap":
        names[place], names[other] = names[other], names[place]
    elif how == "twice":
        names[place] = names[other]
    elif how == "none":
        names[place] = ""
    elif how == "last":
        names.pop()
    elif how == "other":
        names[place] = rng.choice([each.name for each in (*graph.input, *graph.initializer)])
    else:
        names[place] = _add(graph, _array(call, place, rng))
    call.ClearField("input")
    call.input.extend(names)
    return f"input {place}: {how}"


def _outputs(graph: Any, call: Any, rng: random.Random) -> str:
    place = rng.randrange(len(call.output))
    if rng.random() < 0.5:
        call.output[place] = ""
        return f"no output {place}"
    call.output.append("another")
    return "one more output"


def _shape(graph: Any, call: Any, rng: random.Random) -> str:
    """What one input is when it runs, whatever the graph says of it."""
    place = rng.randrange(len(call.input))
    how = rng.choice(("Slice", "Concat", "Unsqueeze", "Squeeze", "Flatten", "Expand"))
    axis = rng.randrange(4)
    given = [call.input[place]]
    attributes: dict[str, int] = {}
    if how == "Slice":
        ends = [[0], [rng.choice((0, 1, 2, 7))], [axis]]
        given += [_add(graph, np.array(each, np.int64)) for each in ends]
    elif how == "Concat":
        given, attributes = given * 2, {"axis": axis}
    elif how == "Flatten":
        attributes = {"axis": axis}
    elif how == "Expand":
        sizes = [rng.choice((1, 1, 2, 3)) for _ in range(rng.randrange(1, 5))]
        given.append(_add(graph, np.array(sizes, np.int64)))
    else:
        given.append(_add(graph, np.array([axis], np.int64)))
    _put_before(graph, call, place, how, given, attributes)
    return f"input {place}: {how} {axis}"


def _values(graph: Any, call: Any, rng: random.Random) -> str:
    """One input plus a number: rows, positions and masks that nothing has; NaN in floats."""
    place = rng.randrange(len(call.input))
    dtype = _WHOLE.get(call.input[place])
    number: Any = rng.choice(_FLOATS)
    if dtype is not None:
        number = np.array(rng.choice(_NUMBERS)).astype(dtype)
    added = _add(graph, np.array(number, dtype or np.float32))
    _put_before(graph, call, place, rng.choice(("Add", "Mul")), [call.input[place], added], {})
    return f"input {place}: {number}"


def _initializer(graph: Any, call: Any, rng: random.Random) -> str:
    """Weights, scales and biases of another size or type."""
    read = [each for each in graph.initializer if each.name in call.input]
    if not read:
        return ""
    tensor = rng.choice(read)
    how = rng.choice(("dims", "transposed", "rank", "type"))
    if how == "dims":
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((*_SIZES, 2**31, 2**40))
    elif how == "transposed":
        sizes = list(tensor.dims)[::-1]
        tensor.ClearField("dims")
        tensor.dims.extend(sizes)
    elif how == "rank":
        tensor.dims.append(rng.choice((0, 1, 2)))
    else:
        tensor.data_type = rng.randrange(1, 17)
    return f"{tensor.name}: {how} {list(tensor.dims)}"


def _table(graph: Any, call: Any, rng: random.Random) -> str:
    """Blocks that a query sees at random: few, many, far away."""
    if call.op_type != "BlockSparseAttention":
        return ""
    heads = rng.choice((2, 2, 2, 1, 3))
    sizes = [heads, rng.choice((0, 1, 2, 6, 7, 64)), rng.choice((0, 1, 2, 3))]
    values = [rng.choice((0, 1, 2, 5, 1000, *_NUMBERS)) for _ in range(int(np.prod(sizes)))]
    names = [*call.input[:4], _add(graph, np.array(values, np.int64).reshape(sizes))]
    call.ClearField("input")
    call.input.extend(names)
    for each in call.attribute:
        if each.name == "longest_full":
            each.i = rng.choice((0, 4, each.i))
    return f"table {sizes}"


def _empty(graph: Any, call: Any, rng: random.Random) -> str:
    """A tensor without elements, whose sizes are no product that fits."""
    place = rng.randrange(len(call.input))
    sizes = [0, *(rng.choice(_HUGE) for _ in range(rng.randrange(4)))]
    rng.shuffle(sizes)
    dtype = _WHOLE.get(call.input[place], np.float32)
    fill = numpy_helper.from_array(np.zeros(1, dtype))
    given = [_add(graph, np.array(sizes, np.int64))]
    _put_before(graph, call, place, "ConstantOfShape", given, {"value": fill})
    return f"input {place}: zeros {sizes}"


def _array(call: Any, place: int, rng: random.Random) -> npt.NDArray[Any]:
    sizes = [rng.choice(_SIZES) for _ in range(rng.randrange(5))]
    dtype: type[np.number[Any]] = rng.choice((np.float32, np.int8, np.int32, np.int64, np.float16))
    if rng.random() < 0.7:
        dtype = _WHOLE.get(call.input[place], np.float32)
    return np.full(sizes, rng.choice((0, 1, -1, 100)), dtype)


def _add(graph: Any, array: npt.NDArray[Any]) -> str:
    """Its name as an initialiser."""
    name = f"attack.{len(graph.initializer)}"
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def _put_before(
    graph: Any, call: Any, place: int, operator: str, inputs: list[str], attributes: dict[str, Any]
) -> None:
    name = f"attack.before.{len(graph.node)}"
    call.input[place] = name
    index = next(i for i, node in enumerate(graph.node) if node is call or node == call)
    graph.node.insert(index, helper.make_node(operator, inputs, [name], **attributes))


_MUTATIONS: tuple[Callable[[Any, Any, random.Random], str], ...] = (
    *(_attribute, _half, _operator, _inputs, _inputs, _outputs, _shape, _shape, _values),
    *(_initializer, _table, _table, _empty),
)
