"""From a network's fp32 graphs and weights to those of a bundle: one conversion per kind of bundle.

- ContribConversion  for ONNX Runtime's operators, fp32, int8 and int4; and other runtimes' fp32
- HalfConversion     for other runtimes, in fp16
- PlanConversion     for TensorRT, in every precision, and for ONNX Runtime in fp16
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass, ShapeInferencePass

from pegasus_engines.network import FINAL_BIAS
from pegasus_engines.precision.fp16 import half_weights, halve_graph, scale_writer, to_half
from pegasus_engines.precision.qdq import quantize_products
from pegasus_engines.precision.quantize import quantize_weights, stored_bytes
from pegasus_engines.precision.recipe import Format, PrecisionRecipe, find_layers
from pegasus_engines.precision.rewrite import rewrite_products
from pegasus_engines.precision.smoothing import Smoothing
from pegasus_engines.precision.symmetric import plan_format, quantize_channels, quantize_groups
from pegasus_engines.vocabulary import add_final_bias, padded_weights, share_tables
from pegasus_plugins.specification import NAMESPACE

__all__ = ["ContribConversion", "Conversion", "HalfConversion", "PlanConversion", "Stored"]

Float32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]
Stored = Mapping[str, ir.ExternalTensor]
"""What was stored, by name, as it lies in its file."""
_STORED_BYTES: Mapping[Format, float] = {"fp32": 4, "fp16": 2, "int8": 1, "int4": 0.5 + 2 / 64}
"""Of one weight of a plan."""


class Conversion(Protocol):
    """What is stored of the weights, and what becomes of the graphs."""

    @property
    def recipe(self) -> PrecisionRecipe:
        """Of its precision."""

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """The network's weights by name -> (name, array) pairs of all that is stored, lazily."""

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """About how much `store` yields in all."""

    def convert(self, models: Mapping[str, ir.Model], stored: Stored) -> dict[str, list[str]]:
        """Rewrites the graphs in place; says which tables are inputs now, and of which graphs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContribConversion:
    """See `rewrite.py`."""

    recipe: PrecisionRecipe

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """See `Conversion`."""
        return quantize_weights(weights, self.recipe)

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """See `Conversion`."""
        return stored_bytes(weights, self.recipe)

    def convert(self, models: Mapping[str, ir.Model], stored: Stored) -> dict[str, list[str]]:
        """See `Conversion`."""
        for model in models.values():
            rewrite_products(model, self.recipe, stored)
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfConversion:
    """See `fp16.py`."""

    recipe: PrecisionRecipe

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """See `Conversion`."""
        return half_weights(weights, residual_shift=self.recipe.residual_shift)

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """See `Conversion`."""
        return sum(array.nbytes for array in weights.values()) // 2

    def convert(self, models: Mapping[str, ir.Model], stored: Stored) -> dict[str, list[str]]:
        """See `Conversion`."""
        for model in models.values():
            _take_stored(model, stored)
            halve_graph(model)
        return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanConversion:
    """See `fp16.py`, `vocabulary.py`, and for integers `qdq.py`; functions are inlined, but those
    that plugins compute, whose bodies take every type."""

    recipe: PrecisionRecipe
    block_size: int | None
    """Of sparse attention, if the encoder has it."""
    smoothing: Smoothing | None = None
    """What calibration found, where the recipe measures activations."""

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """See `Conversion`."""
        formats = self._formats(weights)
        for name, given in padded_weights(weights, block_size=self.block_size):
            array = given if self.smoothing is None else self.smoothing.apply(name, given)
            if self.recipe.name == "fp32":
                yield name, array
            elif formats.get(name) in ("int8", "int4"):
                yield from self._quantize(name, array, formats[name])
            else:
                yield name, self._half(name, array)

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """See `Conversion`."""
        formats = self._formats(weights)
        default: Format = "fp16" if self.recipe.is_half else "fp32"
        return sum(
            round(array.size * _STORED_BYTES[formats.get(name, default)])
            for name, array in weights.items()
        )

    def convert(self, models: Mapping[str, ir.Model], stored: Stored) -> dict[str, list[str]]:
        """See `Conversion`."""
        largest = None if self.smoothing is None else self.smoothing.largest
        for model in models.values():
            plugins = _take_plugins(model)
            if model.functions:
                InlinePass()(model)
                ShapeInferencePass()(model)  # what was inlined has no types
            _take_stored(model, stored)
            add_final_bias(model, stored[FINAL_BIAS])
            quantize_products(model, self.recipe, stored, largest)
            if self.recipe.is_half:
                halve_graph(model)
            model.functions.update(plugins)
        return share_tables(models)

    def _formats(self, weights: Mapping[str, Float32]) -> dict[str, Format]:
        """Of the linear layers' weights, by name."""
        return {
            name: plan_format(self.recipe.format_of(layer), weights[name].shape[1])
            for layer in find_layers(weights)
            if not layer.is_table
            for name in layer.weights
        }

    def _quantize(self, name: str, array: Float32, form: Format) -> Iterator[tuple[str, Array]]:
        scaled = scale_writer(array, name, residual_shift=self.recipe.residual_shift)
        quantized = quantize_groups(scaled) if form == "int4" else quantize_channels(scaled)
        module = name.removesuffix(".weight")
        yield f"{module}.{form}", quantized.values
        yield f"{module}.scale", quantized.scale

    def _half(self, name: str, array: Float32) -> Array:
        if name == FINAL_BIAS:
            array = np.maximum(array, -np.finfo(np.float16).max, dtype=np.float32)
        return to_half(array, name, residual_shift=self.recipe.residual_shift)


def _take_plugins(model: ir.Model) -> dict[ir.OperatorIdentifier, ir.Function]:
    """Takes the bodies of what plugins compute out of the model."""
    found = {key: model.functions[key] for key in model.functions if key[0] == NAMESPACE}
    for key in found:
        del model.functions[key]
    return found


def _take_stored(model: ir.Model, stored: Stored) -> None:
    """Lets the graph's initialisers be what was stored under their names."""
    for name, value in model.graph.initializers.items():
        tensor = stored.get(name)
        if tensor is not None:
            value.const_value, value.type = tensor, ir.TensorType(tensor.dtype)
            value.shape = ir.Shape(tensor.shape.numpy())
