"""Lets the graph's weights be what was stored of them."""

from collections.abc import Mapping

import onnx_ir as ir

__all__ = ["take_stored"]


def take_stored(model: ir.Model, stored: Mapping[str, ir.ExternalTensor]) -> bool:
    """Changes the initialisers in place, by name; says whether any of them was stored."""
    found = [value for name, value in model.graph.initializers.items() if name in stored]
    for value in found:
        tensor = stored[str(value.name)]
        value.const_value, value.type = tensor, ir.TensorType(tensor.dtype)
        value.shape = ir.Shape(tensor.shape.numpy())
    return bool(found)
