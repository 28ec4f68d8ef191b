"""An fp32 graph in half precision, but for log-probabilities."""

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.precision.fp16 import LARGEST_HALF
from pegasus_plugins.specification import NAMESPACE

__all__ = ["halve_graph"]

_SINGLE, _HALF = ir.TensorType(ir.DataType.FLOAT), ir.TensorType(ir.DataType.FLOAT16)
_KEPT_SINGLE = "LogSoftmax"
Float16 = npt.NDArray[np.float16]


def halve_graph(model: ir.Model) -> bool:
    """Makes float32 values float16, in place; what follows a log-softmax stays float32.

    Initialisers that lie in a file keep the type that they have there. Constants too large for
    fp16, which stand for minus infinity, become the largest that it has. Bodies of what plugins
    compute take every type, and stay. Says whether there was anything in float32.
    """
    functions = [each for each in model.functions.values() if each.domain != NAMESPACE]
    graphs = [model.graph, *(function.graph for function in functions)]
    changed = False
    for graph in graphs:
        for value in graph.inputs:
            changed |= _make_half(value)
        for value in graph.initializers.values():
            changed |= _halve_initializer(value)
        changed |= _halve_nodes(graph, set())
    return changed


def _halve_nodes(graph: ir.Graph, single: set[ir.Value]) -> bool:
    """single: values that stay float32; grows."""
    changed = False
    for node in list(graph):
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                changed |= _halve_nodes(attribute.as_graph(), single)
        if node.op_type == _KEPT_SINGLE or any(value in single for value in node.inputs):
            changed |= _widen_inputs(graph, node, single)
            single.update(value for value in node.outputs if _is_float(value))
            continue
        changed |= _halve_constant(node) | _halve_cast(node)
        for value in node.outputs:
            changed |= _make_half(value)
    return changed


def _widen_inputs(graph: ir.Graph, node: ir.Node, single: set[ir.Value]) -> bool:
    """Puts a Cast before every float16 input of a node that computes in float32."""
    changed = False
    for index, value in enumerate(node.inputs):
        if value is None or value in single or not _is_float(value):
            continue
        cast = ir.node("Cast", [value], {"to": ir.DataType.FLOAT})
        cast.outputs[0].type, cast.outputs[0].shape = _SINGLE, value.shape
        cast.outputs[0].name = f"{value.name}.fp32.{index}.{node.name}"
        graph.insert_before(node, [cast])
        node.replace_input_with(index, cast.outputs[0])
        single.add(cast.outputs[0])
        changed = True
    return changed


def _is_float(value: ir.Value) -> bool:
    return value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16)


def _make_half(value: ir.Value) -> bool:
    if value.dtype != ir.DataType.FLOAT:
        return False
    value.type = _HALF
    return True


def _halve_initializer(value: ir.Value) -> bool:
    tensor = value.const_value
    if tensor is None or tensor.dtype != ir.DataType.FLOAT or isinstance(tensor, ir.ExternalTensor):
        return False
    value.const_value = ir.tensor(_clamped(tensor.numpy()), name=value.name)
    value.type = _HALF
    return True


def _halve_constant(node: ir.Node) -> bool:
    if node.op_type != "Constant":
        return False
    value = node.attributes.get("value")
    if value is None:
        scalar = node.attributes.get("value_float")
        if scalar is None:
            return False
        array = np.array(scalar.as_float(), dtype=np.float32)
        del node.attributes["value_float"]
    else:
        if value.as_tensor().dtype != ir.DataType.FLOAT:
            return False
        array = value.as_tensor().numpy()
    node.attributes["value"] = ir.AttrTensor("value", ir.tensor(_clamped(array)))
    return True


def _halve_cast(node: ir.Node) -> bool:
    if node.op_type != "Cast" or node.attributes["to"].as_int() != ir.DataType.FLOAT:
        return False
    node.attributes["to"] = ir.AttrInt64("to", ir.DataType.FLOAT16.value)
    return True


def _clamped(array: npt.NDArray[np.generic]) -> Float16:
    clamped: Float16 = np.clip(array, -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
    return clamped
