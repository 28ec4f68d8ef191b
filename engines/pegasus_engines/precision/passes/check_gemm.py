"""What a product has to look like for its weight to be stored in fewer bits."""

import onnx_ir as ir

from pegasus_engines.precision.recipe import Layer

__all__ = ["check_gemm"]

_GEMM_DEFAULTS = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0}


def check_gemm(node: ir.Node, layer: Layer) -> None:
    """Raises: ValueError if the product is not x @ weight.T."""
    got = {name: attribute.value for name, attribute in node.attributes.items()}
    if node.op_type != "Gemm" or _GEMM_DEFAULTS | got != _GEMM_DEFAULTS | {"transB": 1}:
        raise ValueError(f"{layer.name} is read by {node.op_type} {got}, expected a Gemm")
