"""A graph that holds its weights itself, for hosts that load one file."""

import onnx_ir as ir

from pegasus_export.errors import UnsupportedError

__all__ = ["take_weights_in"]

_MOST_BYTES = 2**31 - 2**24
"""What a file of Protocol Buffers holds, less what else there is in the graph."""


def take_weights_in(model: ir.Model) -> bool:
    """Puts what lies in another file into the graph, in place; False where nothing does.

    Raises: UnsupportedError for more than such a file holds.
    """
    outside = {
        value: value.const_value
        for value in model.graph.initializers.values()
        if isinstance(value.const_value, ir.ExternalTensor)
    }
    size = sum(tensor.nbytes for tensor in outside.values())
    if size > _MOST_BYTES:
        raise UnsupportedError(
            f"--single-file: the weights are {size / 1e9:.1f} GB, one ONNX file holds "
            f"{_MOST_BYTES / 1e9:.1f}: leave it out, or use --precision int8"
        )
    for value, tensor in outside.items():
        value.const_value = ir.Tensor(tensor.numpy().copy(), name=value.name)
    return bool(outside)
