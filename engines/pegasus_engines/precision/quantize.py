"""The tensors that a recipe stores, one after another.

Names of what is stored, for a layer called L:

    linear fp32   L.weight [N, K] float32, L.bias, where it was several projections
    linear int8   L.int8 [K, N] int8, L.scale [N] float32, L.bias [N] float32 if it has one
    linear int4   L.int4 [N, M, 16] uint8, L.scale [N * M] float32, L.zero uint8, L.bias
    table int8    L.int8 [V, D] int8, L.scale [V, 1] float32, L.zero [V] int8;
                  of target onnx L.int8 [D, V], and no zero

Dimensions: N output channels, K input channels, M blocks, V vocabulary, D model dim.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from pegasus_engines.precision.int4 import BLOCK_SIZE, quantize_blocks
from pegasus_engines.precision.int8 import quantize_rows
from pegasus_engines.precision.recipe import Format, Layer, PrecisionRecipe, find_layers

__all__ = ["quantize_weights", "stored_bytes"]

_WEIGHT_BYTES: Mapping[Format, float] = {"fp32": 4, "int8": 1, "int4": 1 / 2 + 4.5 / BLOCK_SIZE}
Array = npt.NDArray[np.generic]
Float32 = npt.NDArray[np.float32]


def quantize_weights(
    weights: Mapping[str, Float32],
    recipe: PrecisionRecipe,
    rows: Mapping[str, Float32] = MappingProxyType({}),
    before: Mapping[str, Array] = MappingProxyType({}),
) -> Iterator[tuple[str, Array]]:
    """The network's weights by name -> (name, array) pairs of all that is stored.

    Lazy, so that one layer at a time is in memory. What stays fp32 keeps its name; biases go with
    their layer. rows: linear layer -> [R, K] of what it reads, of those that were looked at.
    before: what an earlier call yielded for the same weights and rows; layers whose format is the
    same are taken from there.
    """
    done: set[str] = set()
    for layer in find_layers(weights):
        if recipe.changes(layer):
            if f"{layer.name}.{recipe.format_of(layer)}" in before:
                yield from ((key, before[key]) for key in _stored_names(layer) if key in before)
            else:
                yield from _quantize_layer(layer, weights, recipe, rows.get(layer.modules[0]))
            done.update(layer.weights, (f"{module}.bias" for module in layer.modules))
    for name, array in weights.items():
        if name not in done:
            yield name, array


def stored_bytes(weights: Mapping[str, Float32], recipe: PrecisionRecipe) -> int:
    """About how much `quantize_weights` yields in all: scales of int8 channels do not count."""
    total = sum(array.nbytes for array in weights.values())
    for layer in find_layers(weights):
        for name in layer.weights:
            array = weights[name]
            total += round(array.size * _WEIGHT_BYTES[recipe.format_of(layer)]) - array.nbytes
    return total


def _stored_names(layer: Layer) -> list[str]:
    return [f"{layer.name}.{kind}" for kind in ("int8", "int4", "scale", "zero", "bias")]


def _quantize_layer(
    layer: Layer, weights: Mapping[str, Float32], recipe: PrecisionRecipe, rows: Float32 | None
) -> Iterator[tuple[str, Array]]:
    matrix = _stack([weights[name] for name in layer.weights])
    if recipe.format_of(layer) == "fp32":
        yield f"{layer.name}.weight", matrix
    elif recipe.format_of(layer) == "int4":
        blocks = quantize_blocks(matrix, rows)
        yield f"{layer.name}.int4", blocks.packed
        yield f"{layer.name}.scale", blocks.scale.reshape(-1)
        yield f"{layer.name}.zero", blocks.zero.reshape(-1)
    else:
        channels = quantize_rows(matrix)
        if layer.is_table and recipe.target == "onnx":
            yield f"{layer.name}.int8", np.ascontiguousarray(channels.values.T)
            yield f"{layer.name}.scale", channels.scale[:, None]
            return
        if layer.is_table:
            yield f"{layer.name}.int8", channels.values
            yield f"{layer.name}.scale", channels.scale[:, None]
            yield f"{layer.name}.zero", np.zeros(len(matrix), dtype=np.int8)
            return
        yield f"{layer.name}.int8", np.ascontiguousarray(channels.values.T)
        yield f"{layer.name}.scale", channels.scale
    biases = [weights.get(f"{module}.bias") for module in layer.modules]
    if any(bias is not None for bias in biases):
        sizes = [len(weights[name]) for name in layer.weights]
        yield (
            f"{layer.name}.bias",
            np.concatenate(
                [
                    np.zeros(size, dtype=np.float32) if bias is None else bias
                    for bias, size in zip(biases, sizes, strict=True)
                ]
            ),
        )


def _stack(matrices: list[Float32]) -> Float32:
    return matrices[0] if len(matrices) == 1 else np.concatenate(matrices)
