"""An fp16 graph as an fp32 graph that rounds to fp16 after every operator: fp16 on any CPU.

ONNX Runtime on the CPU computes fp16 graphs in fp32 and rounds only where it must; what overflows
on a GPU does not there. In the emulation every value that would be fp16 is rounded to it, and is
infinite where fp16 has no such number, while sums inside an operator are fp32, as tensor cores
have them. It is for checks: it is slower than either.
"""

import numpy as np
import onnx_ir as ir

__all__ = ["emulate_half"]

_SINGLE, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_MOVES = frozenset(
    (
        *("Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze"),
        *("Transpose", "Unsqueeze", "Where"),
    )
)
"""Operators whose outputs are among their inputs."""


def emulate_half(model: ir.Model) -> bool:
    """Rewrites a graph without functions, in place; its inputs and outputs keep names and types.

    Says whether there was anything in fp16.
    """
    graph = model.graph
    for node in list(graph):
        weights = node.inputs[0] if node.op_type == "DequantizeLinear" else None
        if weights is not None and weights.const_value is not None:
            _spell_out(graph, node)
    nodes = list(graph)
    given = [value for value in (*graph.inputs, *graph.initializers.values()) if _is_half(value)]
    widened = [_widen(value) for value in given if value.uses()]
    if nodes:
        graph.insert_before(nodes[0], widened)
    changed = bool(given)
    for node in nodes:
        for value in node.outputs:
            if _is_half(value):
                changed = True
                _emulate_output(graph, node, value)
    return changed


def _spell_out(graph: ir.Graph, node: ir.Node) -> None:
    """Integer weights times their scale, in operators that ONNX Runtime computes once and for all.

    It leaves a DequantizeLinear where it is, in every run, for kernels of its own to find.
    """
    integers, scale = node.inputs[:2]
    assert integers is not None
    assert scale is not None
    block_size = node.attributes["block_size"].as_int() if "block_size" in node.attributes else 0
    output, name = node.outputs[0], node.outputs[0].name
    floats = _cast(integers, _SINGLE, f"{name}.integers")
    made, wide = [floats], floats.outputs[0]
    if block_size:
        made.append(_node("Reshape", [wide], _SINGLE, f"{name}.blocks", shape=(0, -1, block_size)))
        wide = made[-1].outputs[0]
    made.append(_node("Unsqueeze", [scale], _HALF, f"{name}.scales", shape=(-1,)))
    made.append(_node("Mul", [wide, made[-1].outputs[0]], _HALF, f"{name}.product"))
    if block_size:
        made.append(_node("Reshape", [made[-1].outputs[0]], _HALF, f"{name}.rows", shape=(0, -1)))
    new = made[-1].outputs[0]
    new.shape = output.shape
    for usage in list(output.uses()):
        usage.node.replace_input_with(usage.idx, new)
    constants = [
        producer
        for each in made
        for value in each.inputs[1:]
        if value is not None
        and (producer := value.producer()) is not None
        and producer.op_type == "Constant"
    ]
    graph.insert_before(node, [*constants, *made])
    graph.remove(node, safe=True)


def _node(
    operator: str,
    inputs: list[ir.Value],
    dtype: ir.DataType,
    name: str,
    *,
    shape: tuple[int, ...] | None = None,
) -> ir.Node:
    """A node; `shape` becomes a constant as its last input."""
    given: list[ir.Value] = list(inputs)
    if shape is not None:
        constant = ir.node("Constant", [], {"value": ir.tensor(np.array(shape))})
        constant.outputs[0].name = f"{name}.shape"
        constant.outputs[0].type = ir.TensorType(ir.DataType.INT64)
        given.append(constant.outputs[0])
    node = ir.node(operator, given, name=f"{operator}.{name}")
    node.outputs[0].name, node.outputs[0].type = name, ir.TensorType(dtype)
    return node


def _emulate_output(graph: ir.Graph, node: ir.Node, value: ir.Value) -> None:
    gives_half = node.op_type in ("Cast", "Constant")  # what it says, whatever its input
    is_output = value in graph.outputs
    if gives_half:
        graph.insert_after(node, [_widen(value)])
        return
    value.type = ir.TensorType(_SINGLE)
    if node.op_type in _MOVES and not is_output:
        return
    uses = list(value.uses())
    name = value.name
    value.name = f"{name}.exact"
    narrow = _cast(value, _HALF, f"{name}.half")
    wide = _cast(narrow.outputs[0], _SINGLE, f"{name}.rounded")
    for usage in uses:
        usage.node.replace_input_with(usage.idx, wide.outputs[0])
    graph.insert_after(node, [narrow, wide] if uses else [narrow])
    if is_output:
        rounded = narrow.outputs[0]
        rounded.name = name
        graph.outputs[list(graph.outputs).index(value)] = rounded


def _widen(value: ir.Value) -> ir.Node:
    """A Cast to float32, which everything reads that has read the value."""
    uses = list(value.uses())
    wide = _cast(value, _SINGLE, f"{value.name}.wide")
    for usage in uses:
        usage.node.replace_input_with(usage.idx, wide.outputs[0])
    return wide


def _cast(value: ir.Value, dtype: ir.DataType, name: str) -> ir.Node:
    node = ir.node("Cast", [value], {"to": dtype}, name=f"Cast.{name}")
    node.outputs[0].name = name
    node.outputs[0].type, node.outputs[0].shape = ir.TensorType(dtype), value.shape
    return node


def _is_half(value: ir.Value) -> bool:
    return value.dtype == _HALF
