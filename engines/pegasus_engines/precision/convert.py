"""From a network's fp32 graphs and weights to those of a bundle: one conversion per kind of bundle.

- ContribConversion  for ONNX Runtime's operators, fp32, int8 and int4; and other runtimes' fp32 and
                     int8, which are in ONNX's own operators
- HalfConversion     for other runtimes, in fp16
- PlanConversion     for TensorRT, in every precision, and for ONNX Runtime in fp16
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.network import FINAL_BIAS
from pegasus_engines.precision.fp16 import half_weights, to_half
from pegasus_engines.precision.padded_weights import padded_weights
from pegasus_engines.precision.passes.add_final_bias import add_final_bias
from pegasus_engines.precision.passes.call_attention import call_attention
from pegasus_engines.precision.passes.call_int8_linear import call_int8_linear
from pegasus_engines.precision.passes.call_layer_norm import call_layer_norm
from pegasus_engines.precision.passes.call_top_k import call_top_k
from pegasus_engines.precision.passes.halve_graph import halve_graph
from pegasus_engines.precision.passes.inline_functions import inline_functions
from pegasus_engines.precision.passes.quantize_products import quantize_products
from pegasus_engines.precision.passes.rewrite_products import rewrite_products
from pegasus_engines.precision.passes.share_tables import share_tables
from pegasus_engines.precision.passes.shift_residual import shift_residual
from pegasus_engines.precision.passes.take_stored import take_stored
from pegasus_engines.precision.quantize import quantize_weights, stored_bytes
from pegasus_engines.precision.recipe import Format, PrecisionRecipe, find_layers
from pegasus_engines.precision.symmetric import plan_format, quantize_channels, quantize_groups

__all__ = ["ContribConversion", "Conversion", "HalfConversion", "Pass", "PlanConversion", "Stored"]

Float32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.generic]
Stored: TypeAlias = Mapping[str, ir.ExternalTensor]
"""What was stored, by name, as it lies in its file."""
Pass: TypeAlias = Callable[[Mapping[str, ir.Model]], bool]
"""Changes the graphs of a bundle in place, and says whether it changed any."""
_OUR_GRAPHS = ("encoder", "decoder_step", "prefill", "model")
_Given = ParamSpec("_Given")
_STORED_BYTES: Mapping[Format, float] = {"fp32": 4, "fp16": 2, "int8": 1, "int4": 0.5 + 2 / 64}
"""Of one weight of a plan."""


class Conversion(Protocol):
    """What is stored of the weights, and what becomes of the graphs."""

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """The network's weights by name -> (name, array) pairs of all that is stored, lazily."""

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """About how much `store` yields in all."""

    def passes(self, stored: Stored) -> Sequence[Pass]:
        """What is done to the graphs as they were traced, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContribConversion:
    """See `quantize.py`."""

    recipe: PrecisionRecipe
    rows: Mapping[str, Float32] = field(default_factory=dict)
    """Linear layer -> [R, K] of what it reads, of those that were looked at."""
    before: Mapping[str, Array] = field(default_factory=dict)
    """Of an earlier conversion of the same weights: see `quantize_weights`."""

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """See `Conversion`."""
        return quantize_weights(weights, self.recipe, self.rows, self.before)

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """See `Conversion`."""
        return stored_bytes(weights, self.recipe)

    def passes(self, stored: Stored) -> Sequence[Pass]:
        """See `Conversion`."""
        if self.recipe.target == "onnx":
            return [_in_each(rewrite_products, self.recipe, stored)]
        return [
            _in_each(rewrite_products, self.recipe, stored),
            _in_ours(call_int8_linear),
            _in_ours(call_attention, half=self.recipe.name != "fp32"),
            _in_ours(call_layer_norm),
            _in_ours(call_top_k),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfConversion:
    """See `fp16.py`."""

    recipe: PrecisionRecipe

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """See `Conversion`."""
        return half_weights(weights, self.recipe.residual_shift)

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """See `Conversion`."""
        return sum(array.nbytes for array in weights.values()) // 2

    def passes(self, stored: Stored) -> Sequence[Pass]:
        """See `Conversion`."""
        return [
            _in_each(shift_residual, self.recipe.residual_shift),
            _in_each(take_stored, stored),
            _in_each(halve_graph),
        ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanConversion:
    """See `fp16.py`, `padded_weights.py`, and for integers `symmetric.py`."""

    recipe: PrecisionRecipe
    block_size: int | None
    """Of sparse attention, if the encoder has it."""
    largest: Mapping[str, float] | None = None
    """Linear layer -> the largest magnitude it reads, where the recipe measures activations."""
    rows: Mapping[str, Float32] = field(default_factory=dict)
    """Linear layer -> [R, K] of what it reads, of those that were looked at."""

    def store(self, weights: Mapping[str, Float32]) -> Iterator[tuple[str, Array]]:
        """See `Conversion`."""
        formats = self._formats(weights)
        for name, given in padded_weights(weights, block_size=self.block_size):
            array = self.recipe.residual_shift.scale_weight(name, given)
            if self.recipe.name == "fp32":
                yield name, array
            elif formats.get(name) in ("int8", "int4"):
                rows = self.rows.get(name.removesuffix(".weight"))
                yield from _quantize(name, array, formats[name], rows)
            else:
                yield name, _half(name, array)

    def stored_bytes(self, weights: Mapping[str, Float32]) -> int:
        """See `Conversion`."""
        formats = self._formats(weights)
        default: Format = "fp16" if self.recipe.is_half else "fp32"
        return sum(
            round(array.size * _STORED_BYTES[formats.get(name, default)])
            for name, array in weights.items()
        )

    def passes(self, stored: Stored) -> Sequence[Pass]:
        """See `Conversion`."""
        return [
            _in_each(shift_residual, self.recipe.residual_shift),
            _in_each(inline_functions),
            _in_each(take_stored, stored),
            _in_each(add_final_bias, stored[FINAL_BIAS]),
            _in_each(quantize_products, self.recipe, stored, self.largest),
            *([_in_each(halve_graph)] if self.recipe.is_half else []),
            share_tables,
        ]

    def _formats(self, weights: Mapping[str, Float32]) -> dict[str, Format]:
        """Of the linear layers' weights, by name."""
        return {
            name: plan_format(self.recipe.format_of(layer), weights[name].shape[1])
            for layer in find_layers(weights)
            if not layer.is_table
            for name in layer.weights
        }


def _in_each(
    change: Callable[Concatenate[ir.Model, _Given], bool],
    *arguments: _Given.args,
    **options: _Given.kwargs,
) -> Pass:
    """A pass over one graph as one over all."""

    def run(models: Mapping[str, ir.Model]) -> bool:
        changed = [change(model, *arguments, **options) for model in models.values()]
        return any(changed)

    return run


def _in_ours(
    change: Callable[Concatenate[ir.Model, _Given], bool],
    *arguments: _Given.args,
    **options: _Given.kwargs,
) -> Pass:
    """The same over the graphs that our runtime runs; what others run stays in stock operators."""

    def run(models: Mapping[str, ir.Model]) -> bool:
        ours = {name: model for name, model in models.items() if name in _OUR_GRAPHS}
        return _in_each(change, *arguments, **options)(ours)

    return run


def _quantize(
    name: str, array: Float32, form: Format, rows: Float32 | None
) -> Iterator[tuple[str, Array]]:
    quantized = quantize_groups(array, rows) if form == "int4" else quantize_channels(array)
    module = name.removesuffix(".weight")
    yield f"{module}.{form}", quantized.values
    yield f"{module}.scale", quantized.scale


def _half(name: str, array: Float32) -> Array:
    if name == FINAL_BIAS:
        array = np.maximum(array, -np.finfo(np.float16).max, dtype=np.float32)
    return to_half(name, array)
