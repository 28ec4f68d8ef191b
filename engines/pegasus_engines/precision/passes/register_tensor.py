"""A tensor becomes an initialiser of a graph: what passes add weights and scales with."""

import onnx_ir as ir

__all__ = ["register_tensor"]


def register_tensor(graph: ir.Graph, tensor: ir.TensorProtocol) -> ir.Value:
    """The graph's new value, under the tensor's name."""
    value = ir.Value(
        name=tensor.name,
        shape=ir.Shape(tensor.shape.numpy()),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value
