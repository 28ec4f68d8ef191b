"""An fp16 graph as an fp32 graph that rounds to fp16 after every operator: fp16 on any CPU.

ONNX Runtime on the CPU computes fp16 graphs in fp32 and rounds only where it must; what overflows
on a GPU does not there. In the emulation every value that would be fp16 is rounded to it, and is
infinite where fp16 has no such number, while sums inside an operator are fp32, as tensor cores
have them. Weights are widened, and dequantised, beforehand: ONNX Runtime would do so in every run,
or keep what it made beside what it was made of. It is for checks: it is slower than either.
"""

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.weights import WeightsFile, is_external

__all__ = ["emulate_half"]

_SINGLE, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_MOVES = frozenset(
    (
        *("Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze"),
        *("Transpose", "Unsqueeze", "Where"),
    )
)
"""Operators whose outputs are among their inputs."""


def emulate_half(model: ir.Model, weights: WeightsFile | None = None) -> bool:
    """Rewrites a graph without functions, in place; its inputs and outputs keep names and types.

    weights: a file for the widened weights, which stay in the graph otherwise. Those of several
    graphs that have one name are written once. Says whether there was anything in fp16.
    """
    graph = model.graph
    values = [*graph.inputs, *graph.initializers.values()]
    changed = any(value.dtype == _HALF for value in values)
    for node in list(graph):
        stored = node.inputs[0] if node.op_type == "DequantizeLinear" else None
        if stored is not None and stored.const_value is not None:
            _dequantize(graph, node, weights)
    for value in graph.initializers.values():
        if value.dtype == _HALF and value.const_value is not None:
            _fill(value, value.const_value.numpy().astype(np.float32), weights)
    nodes = list(graph)
    widened = [_widen(x) for x in graph.inputs if x.dtype == _HALF and x.uses()]
    if nodes:
        graph.insert_before(nodes[0], widened)
    for node in nodes:
        for value in node.outputs:
            if value.dtype == _HALF:
                changed = True
                _emulate_output(graph, node, value)
    return changed


def _dequantize(graph: ir.Graph, node: ir.Node, weights: WeightsFile | None) -> None:
    """Puts a float32 initialiser in the place of integer weights, their scale and the operator."""
    output, block_size = node.outputs[0], node.attributes.get("block_size")
    integers, scale = (_constant(value) for value in node.inputs[:2])  # [N, K] and [N] or [N, M]
    if block_size is None or not block_size.as_int():
        product = integers * scale[:, None]
    else:
        blocks = integers.reshape(len(integers), -1, block_size.as_int())
        product = (blocks * scale[..., None]).reshape(integers.shape)
    value = ir.Value(name=output.name, shape=output.shape)
    output.name = f"{output.name}.of.{node.name}"
    _fill(value, product.astype(np.float16).astype(np.float32), weights)
    graph.register_initializer(value)
    for usage in list(output.uses()):
        usage.node.replace_input_with(usage.idx, value)
    inputs = [each for each in node.inputs if each is not None]
    graph.remove(node, safe=True)
    for each in inputs:
        if not each.uses() and each.name is not None and each.name in graph.initializers:
            del graph.initializers[each.name]


def _constant(value: ir.Value | None) -> npt.NDArray[np.float32]:
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy().astype(np.float32)


def _fill(value: ir.Value, array: npt.NDArray[np.float32], weights: WeightsFile | None) -> None:
    """Gives an initialiser its float32 numbers."""
    assert value.name is not None
    tensor: ir.TensorProtocol = ir.tensor(array, name=value.name)
    if weights is not None and is_external(tensor):
        if value.name not in weights.tensors:
            weights.write([(value.name, array)])
        tensor = weights.tensors[value.name]
    value.const_value, value.type = tensor, ir.TensorType(_SINGLE)


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
