"""A graph's products with integer weights, in the operators that TensorRT takes for them.

    int8 weights        DequantizeLinear, a scale per output channel
    int4 weights        DequantizeLinear, a scale per 64 inputs
    int8 activations    QuantizeLinear, DequantizeLinear in front of the product, with a scale that
                        is known beforehand

The product itself is the Gemm that it was, in fp16: an engine that finds dequantised inputs on both
sides computes it in 8 bits. What an engine does not find so, such as attention, the LayerNorms and
the residual stream, stays fp16.

Source: TensorRT's documentation, "Working with Quantized Types": explicit quantization.
"""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from pegasus_engines.precision.passes.check_gemm import check_gemm
from pegasus_engines.precision.passes.register_tensor import register_tensor
from pegasus_engines.precision.recipe import Layer, PrecisionRecipe, find_layers
from pegasus_engines.precision.symmetric import GROUP_SIZE, input_scale

__all__ = ["quantize_products"]

_OPSETS = {"int8": 19, "int4": 21}
"""The first that has scales of fp16, and the first that has int4 and scales per group."""


def quantize_products(
    model: ir.Model,
    recipe: PrecisionRecipe,
    stored: Mapping[str, ir.ExternalTensor],
    largest_inputs: Mapping[str, float] | None,
) -> bool:
    """Respells, in place, every product that the recipe quantises; says whether there was any.

    The graph is one without functions, in float32, to be made fp16 afterwards. stored: the integers
    as `module.int8` or `module.int4`, and `module.scale`. largest_inputs: module -> the largest
    magnitude that it reads; None leaves activations alone. Raises: ValueError if a product is not
    x @ weight.T, or a module is not among largest_inputs.
    """
    rewriter = _Rewriter(model.graph, stored)
    layers = [
        layer
        for layer in find_layers(model.graph.initializers)
        if recipe.format_of(layer) in ("int8", "int4")
    ]
    for layer in layers:
        for module in layer.modules:
            if largest_inputs is not None and module not in largest_inputs:
                raise ValueError(
                    f"no activations of {module} were measured, expected them of every layer that "
                    "is quantised: run it on the calibration documents"
                )
            largest = None if largest_inputs is None else largest_inputs[module]
            rewriter.rewrite(layer, module, largest)
    if rewriter.opset:
        model.opset_imports[""] = max(model.opset_imports[""], rewriter.opset)
        model.ir_version = max(model.ir_version, 10)
    return bool(layers)


class _Rewriter:
    """One graph being changed."""

    def __init__(self, graph: ir.Graph, stored: Mapping[str, ir.ExternalTensor]) -> None:
        self.graph = graph
        self.stored = stored
        self.opset = 0
        self._rounded: dict[tuple[ir.Value, float], ir.Value] = {}
        """Value, and largest magnitude -> what it becomes in 8 bits: projections share it."""

    def rewrite(self, layer: Layer, module: str, largest_input: float | None) -> None:
        weight = self.graph.initializers[f"{module}.weight"]
        uses = list(weight.uses())
        for usage in uses:
            check_gemm(usage.node, layer)
        if not uses:
            return
        dequantized = self._dequantize(module, weight, uses[0].node)
        for usage in uses:
            gemm = usage.node
            gemm.replace_input_with(1, dequantized)
            source = gemm.inputs[0]
            if largest_input is not None and source is not None:
                gemm.replace_input_with(0, self._round(source, gemm, largest_input))
        del self.graph.initializers[f"{module}.weight"]

    def _dequantize(self, module: str, weight: ir.Value, before: ir.Node) -> ir.Value:
        """[N, K] float32, or fp16 later on."""
        is_int4 = f"{module}.int4" in self.stored
        precision = "int4" if is_int4 else "int8"
        attributes = {"axis": 1, "block_size": GROUP_SIZE} if is_int4 else {"axis": 0}
        self.opset = max(self.opset, _OPSETS[precision])
        integers = register_tensor(self.graph, self.stored[f"{module}.{precision}"])
        scale = register_tensor(self.graph, self.stored[f"{module}.scale"])
        node = ir.node("DequantizeLinear", [integers, scale], attributes, name=f"{module}.dequant")
        return self._insert(node, f"{module}.weight.dequantized", weight, before)

    def _round(self, value: ir.Value, before: ir.Node, largest: float) -> ir.Value:
        known = self._rounded.get((value, largest))
        if known is not None:
            return known
        name = f"{value.name}.{len(self._rounded)}"
        constants = [
            register_tensor(self.graph, ir.tensor(input_scale(largest), name=f"{name}.scale")),
            register_tensor(self.graph, ir.tensor(np.int8(0), name=f"{name}.zero")),
        ]
        quantize = ir.node("QuantizeLinear", [value, *constants], name=f"{name}.quantize")
        integers = self._insert(quantize, f"{name}.int8", value, before)
        integers.type = ir.TensorType(ir.DataType.INT8)
        dequantize = ir.node("DequantizeLinear", [integers, *constants], name=f"{name}.dequantize")
        rounded = self._insert(dequantize, f"{name}.rounded", value, before)
        self._rounded[value, largest] = rounded
        return rounded

    def _insert(self, node: ir.Node, name: str, like: ir.Value, before: ir.Node) -> ir.Value:
        """The node's output, a float32 of the same shape as another value."""
        output = node.outputs[0]
        output.name, output.shape = name, like.shape
        output.type = ir.TensorType(ir.DataType.FLOAT)
        self.graph.insert_before(before, [node])
        return output
