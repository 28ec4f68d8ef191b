"""How far each layer's outputs are from what they were, by the weights as they are stored.

Dimensions: R rows, N output channels, K input channels.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.precision import int4, symmetric
from pegasus_engines.precision.recipe import Format, PrecisionRecipe, find_layers
from pegasus_engines.precision.restore import restore_matrix
from pegasus_export.measure.activations import Observed

__all__ = ["measure_layers"]

Float32 = npt.NDArray[np.float32]
_TINY = np.finfo(np.float32).tiny


def measure_layers(
    weights: Mapping[str, Float32],
    stored: Mapping[str, ir.TensorProtocol],
    recipe: PrecisionRecipe,
    observed: Observed,
) -> dict[str, float]:
    """Layer name -> relative error of its outputs, the worst first.

    The error is ||y' - y|| / ||y||, where y' has the stored weights, and inputs as the recipe
    rounds them. weights, observed: equalised, if what is stored is. Layers that keep their format,
    and those that were not seen at work, are left out.
    """
    rows = observed.rows_to_judge_by
    errors = {}
    for layer in find_layers(weights):
        module = layer.modules[0]
        if module not in rows:
            continue
        columns = rows[module].shape[1]
        coarse = restore_matrix(layer, stored, columns=columns)
        if coarse is None:
            continue
        shift = recipe.residual_shift
        matrix = np.concatenate([shift.scale_weight(name, weights[name]) for name in layer.weights])
        inputs = _round_inputs(
            rows[module], recipe.format_of(layer), recipe, observed.largest[module]
        )
        expected = rows[module] @ matrix.T
        size = float(np.linalg.norm(expected)) or 1.0
        error = np.linalg.norm(inputs @ coarse[: len(matrix)].T - expected) / size
        errors[layer.name] = float(error)
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def _round_inputs(
    rows: Float32, form: Format, recipe: PrecisionRecipe, largest: Float32
) -> Float32:
    """[R, K] as products have them."""
    if recipe.is_half:
        if not recipe.measures_activations:
            return rows
        scale = np.float32(symmetric.input_scale(float(largest.max(initial=0))))
        rounded: Float32 = (np.clip(np.rint(rows / scale), -127, 127) * scale).astype(np.float32)
        return rounded
    if form == "int4":
        padding = ((0, 0), (0, -rows.shape[1] % int4.BLOCK_SIZE))
        blocks = np.pad(rows, padding).reshape(len(rows), -1, int4.BLOCK_SIZE)
        return _round(blocks).reshape(len(rows), -1)[:, : rows.shape[1]]
    return _round(rows)


def _round(rows: Float32) -> Float32:
    """8 bits, with a scale for each vector of the last dimension; half as wide without a sign."""
    steps = np.float32(127 if (rows < 0).any() else 255)
    scale = np.maximum(np.abs(rows).max(axis=-1, keepdims=True), _TINY) / steps
    rounded: Float32 = (np.rint(rows / scale) * scale).astype(np.float32)
    return rounded
