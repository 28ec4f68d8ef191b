"""Half precision that is exact: the weights and the graph.

"FP16 is not supported", says the model's own documentation: the residual stream of its encoder
exceeds 65504, the largest number of fp16. But whatever reads that stream reads it through a
LayerNorm, which does not see a factor. So everything that writes into the stream is scaled by 2^-k:
embedding (by the graph's factor, its table is the head's too), positions, and weights and biases of
out_proj and fc2; and the LayerNorms' eps by 2^-2k. A power of two changes no digit of a floating
point number: in fp32 the function is the same, bit by bit, and in fp16 nothing overflows.

LayerNorm takes and gives fp16 and computes in fp32 inside (`stash_type`), as do softmax and the
accumulation of products in the engines; log-softmax and what follows it are fp32 in the graph.

Source of the observation: transformers issues 11289 and 12225.
"""

import re
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = [
    "HalfRangeError",
    "half_weights",
    "halve_graph",
    "scale_writer",
    "to_half",
    "writes_residual",
]

_LARGEST = float(np.finfo(np.float16).max)
_WRITER = re.compile(
    r"(self_attn|encoder_attn)\.out_proj\.(weight|bias)$|\.fc2\.(weight|bias)$"
    r"|\.embed_positions\.weight$"
)
_SINGLE, _HALF = ir.TensorType(ir.DataType.FLOAT), ir.TensorType(ir.DataType.FLOAT16)
_KEPT_SINGLE = "LogSoftmax"
Float32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]


class HalfRangeError(ValueError):
    """A weight that fp16 cannot hold."""


def writes_residual(name: str) -> bool:
    """Whether what this weight computes is added to the residual stream."""
    return _WRITER.search(name) is not None


def half_weights(
    weights: Mapping[str, Float32], *, residual_shift: int
) -> Iterator[tuple[str, Array]]:
    """Weights by name -> (name, float16 array), those that write the residual times 2^-shift.

    Raises: HalfRangeError.
    """
    for name, array in weights.items():
        yield name, to_half(array, name, residual_shift=residual_shift)


def scale_writer(array: Float32, name: str, *, residual_shift: int) -> Float32:
    """One weight, times 2^-shift if it writes the residual."""
    scale = np.float32(2.0**-residual_shift if writes_residual(name) else 1)
    return array * scale if scale != 1 else array


def to_half(array: Float32, name: str, *, residual_shift: int) -> Array:
    """One weight, as `half_weights` gives it. Raises: HalfRangeError."""
    scaled = scale_writer(array, name, residual_shift=residual_shift)
    largest = float(np.abs(scaled).max(initial=0))
    if not largest <= _LARGEST:
        raise HalfRangeError(
            f"{name} has a value of {largest:.3g}, the largest of fp16 is {_LARGEST:g}"
        )
    return scaled.astype(np.float16)


def halve_graph(model: ir.Model) -> bool:
    """Makes float32 values float16, in place; what follows a log-softmax stays float32.

    Initialisers that lie in a file keep the type that they have there. Constants too large for
    fp16, which stand for minus infinity, become the largest that it has.
    """
    graphs = [model.graph, *(function.graph for function in model.functions.values())]
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


def _clamped(array: Array) -> npt.NDArray[np.float16]:
    clamped: npt.NDArray[np.float16] = np.clip(array, -_LARGEST, _LARGEST).astype(np.float16)
    return clamped
