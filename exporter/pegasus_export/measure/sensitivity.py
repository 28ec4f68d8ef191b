"""Which layers suffer most from a lower precision."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pegasus_engines.precision import int4, int8, symmetric
from pegasus_engines.precision.recipe import PrecisionRecipe, find_layers
from pegasus_engines.precision.smoothing import Smoothing
from pegasus_export.measure.activations import watch_inputs
from pegasus_export.models.pegasus import Pegasus

__all__ = ["rank_layers"]

_MAX_ROWS = 256  # of a layer's inputs: a sample is enough to rank by
Float32 = npt.NDArray[np.float32]
Rounding = Callable[[Float32, Float32], tuple[Float32, Float32]]
"""Inputs [rows, K] and weight [N, K] -> what becomes of them."""


@torch.no_grad()
def rank_layers(
    pegasus: Pegasus,
    recipe: PrecisionRecipe,
    sources: Sequence[Sequence[int]],
    summaries: Sequence[Sequence[int]],
    *,
    smoothing: Smoothing | None = None,
) -> dict[str, float]:
    """Layer name -> relative error of its outputs, the worst first.

    The inputs are those that the checkpoint has on these sources and summaries (token ids). The
    error is ||y' - y|| / ||y||, where y' has weights and inputs as the recipe would have them.
    smoothing: of a recipe that measures activations.
    """
    inputs = _collect_inputs(pegasus, sources, summaries)
    weights = pegasus.state_dict()
    errors = {}
    for layer in find_layers(weights):
        rows, precision = inputs.get(layer.modules[0]), recipe.format_of(layer)
        if rows is None or precision not in ("int8", "int4"):
            continue
        matrix = np.concatenate([weights[name].numpy() for name in layer.weights])  # [N, K]
        if recipe.is_half:
            round_both = _plan_rounding(layer.modules[0], precision == "int4", smoothing)
        else:
            round_both = _round_blocks if precision == "int4" else _round_rows
        errors[layer.name] = _relative_error(rows, matrix, round_both)
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def _collect_inputs(
    pegasus: Pegasus, sources: Sequence[Sequence[int]], summaries: Sequence[Sequence[int]]
) -> Mapping[str, Float32]:
    """Module name -> [rows, K] of what the module reads, the first of them."""
    collected: dict[str, list[Tensor]] = {}
    missing: dict[str, int] = {}

    def look(name: str, rows: Tensor) -> None:
        left = missing.setdefault(name, _MAX_ROWS)
        if left > 0:
            collected.setdefault(name, []).append(rows[:left].clone())
            missing[name] = left - len(rows)

    watch_inputs(pegasus, sources, summaries, look)
    return {name: torch.cat(rows).numpy() for name, rows in collected.items()}


def _relative_error(rows: Float32, matrix: Float32, round_both: Rounding) -> float:
    inputs, coarse = round_both(rows, matrix)
    expected = rows @ matrix.T
    return float(np.linalg.norm(inputs @ coarse.T - expected) / np.linalg.norm(expected))


def _round_rows(rows: Float32, matrix: Float32) -> tuple[Float32, Float32]:
    """As DynamicQuantizeMatMul has them."""
    coarse = int8.dequantize_rows(int8.quantize_rows(matrix))
    return _round_activations(rows, np.abs(rows).max()), coarse


def _round_blocks(rows: Float32, matrix: Float32) -> tuple[Float32, Float32]:
    """As MatMulNBits has them."""
    coarse = int4.dequantize_blocks(int4.quantize_blocks(matrix), columns=matrix.shape[1])
    padding = ((0, 0), (0, -rows.shape[1] % int4.BLOCK_SIZE))
    blocks = np.pad(rows, padding).reshape(len(rows), -1, int4.BLOCK_SIZE)
    rounded = _round_activations(blocks, np.abs(blocks).max(axis=2, keepdims=True))
    return rounded.reshape(len(rows), -1)[:, : rows.shape[1]], coarse


def _plan_rounding(module: str, is_int4: bool, smoothing: Smoothing | None) -> Rounding:
    """As TensorRT has them."""

    def round_both(rows: Float32, matrix: Float32) -> tuple[Float32, Float32]:
        if smoothing is None:
            return rows, _round_weights(matrix, is_int4)
        factor = smoothing.multiplied.get(module, np.ones(1, np.float32))
        scale = np.float32(symmetric.input_scale(smoothing.largest[module]))
        rounded = np.clip(np.rint(rows / factor / scale), -127, 127) * scale
        return rounded.astype(np.float32), _round_weights(matrix * factor, is_int4)

    return round_both


def _round_weights(matrix: Float32, is_int4: bool) -> Float32:
    fits = symmetric.plan_format("int4", matrix.shape[1]) == "int4"
    quantize = symmetric.quantize_groups if is_int4 and fits else symmetric.quantize_channels
    return symmetric.dequantize(quantize(matrix))


def _round_activations(rows: Float32, largest: npt.NDArray[np.float32]) -> Float32:
    """Eight bits with a sign, over a range of [-largest, largest]."""
    scale = np.maximum(largest, np.finfo(np.float32).tiny) / np.float32(127)
    rounded: Float32 = (np.rint(rows / scale) * scale).astype(np.float32)
    return rounded
