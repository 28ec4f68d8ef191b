"""Weight matrices as TensorRT takes them: integers around zero, positive scales in fp16.

Unlike the formats of ONNX Runtime's operators (int8.py, int4.py) these use all of an integer's
range, and the scale that rounds to fp16 is the one that is divided by: it adds no error of its own.

Dimensions: N output channels, K input channels, M = K / 64 groups.
"""

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import numpy.typing as npt

from pegasus_engines.precision.compensated import Grid, round_compensated
from pegasus_engines.precision.recipe import Format

__all__ = [
    "GROUP_SIZE",
    "Symmetric",
    "dequantize",
    "half_scale",
    "input_scale",
    "plan_format",
    "quantize_channels",
    "quantize_groups",
]

GROUP_SIZE = 64
"""Inputs that share a scale in int4: 64 and 128 are what TensorRT has fast kernels for."""
_LARGEST_INT8 = 127
_LEAST_INT4, _LARGEST_INT4 = -8, 7
_CHUNK_ROWS = 64  # of a matrix: what a pass leaves in the processor's cache, the next one finds
_CANDIDATES = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Of an int4 scale: smaller ones clip the largest weight and are finer for all others."""
Float32 = npt.NDArray[np.float32]
Float16 = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Symmetric:
    """weight[n, k] is about values[n, k] * scale[n], or values[n, k] * scale[n, k // 64]."""

    values: npt.NDArray[np.generic]
    """[N, K] int8 in [-127, 127], or ml_dtypes.int4."""
    scale: Float16
    """[N] or [N, M], positive."""


def plan_format(wanted: Format, columns: int) -> Format:
    """What a matrix of so many columns is stored in: int8 for int4 that has no whole groups."""
    return "int8" if wanted == "int4" and columns % GROUP_SIZE else wanted


def half_scale(largest: Float32, steps: int) -> Float16:
    """The least fp16 number that is at least largest / steps, and 1 where that is 0 in float32.

    What is divided by it is therefore never beyond `steps`.
    """
    exact = largest / np.float32(steps)
    rounded = exact.astype(np.float16)
    above: Float16 = np.nextafter(rounded, np.float16(np.inf))
    enough = np.where(rounded.astype(np.float32) < exact, above, rounded)
    scale: Float16 = np.where(exact > 0, enough, np.float16(1)).astype(np.float16)
    return scale


def input_scale(largest: float) -> np.float16:
    """Of 8-bit activations whose largest magnitude this is; the larger ones saturate."""
    return np.float16(half_scale(np.array([largest], dtype=np.float32), _LARGEST_INT8)[0])


def quantize_channels(weight: Float32) -> Symmetric:
    """weight [N, K] float32, finite -> int8 with a scale per output channel."""
    values = np.empty(weight.shape, dtype=np.int8)
    scale = half_scale(np.abs(weight).max(axis=1), _LARGEST_INT8)
    for start in range(0, len(weight), _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        values[chunk] = np.rint(weight[chunk] / scale[chunk, None].astype(np.float32))
    return Symmetric(values=values, scale=scale)


def quantize_groups(weight: Float32, rows: Float32 | None = None) -> Symmetric:
    """weight [N, K] float32, finite -> int4 with a scale per 64 inputs of an output channel.

    Each scale is the one of a few that errs least, in squares weighted by the inputs' size. rows:
    [R, K] of what the layer reads, on which rounding errs least; or none. Raises: ValueError if K
    is no multiple of 64.
    """
    if weight.shape[1] % GROUP_SIZE:
        raise ValueError(
            f"a matrix has {weight.shape[1]} columns, int4 needs a multiple of {GROUP_SIZE}: "
            "use int8"
        )
    grid = Grid(low=_LEAST_INT4, high=_LARGEST_INT4, fit=_fit_int4)
    found = round_compensated(weight, rows, grid=grid, size=GROUP_SIZE)
    return Symmetric(
        values=found.values.astype(ml_dtypes.int4), scale=found.scale.astype(np.float16)
    )


def dequantize(matrix: Symmetric) -> Float32:
    """The matrix [N, K] float32 that the integers stand for."""
    scale = matrix.scale.astype(np.float32).reshape(len(matrix.scale), -1)  # [N, 1] or [N, M]
    columns = matrix.values.shape[1] // scale.shape[1]
    result: Float32 = matrix.values.astype(np.float32) * np.repeat(scale, columns, axis=1)
    return result


def _fit_int4(group: Float32, importance: Float32) -> tuple[Float32, Float32]:
    """[64, N], [64] -> scale and zero [N]."""
    largest = np.abs(group).max(axis=0)
    best = half_scale(largest, _LARGEST_INT4).astype(np.float32)
    least = np.full(best.shape, np.inf, dtype=np.float32)
    for candidate in _CANDIDATES:
        scale = half_scale(largest * np.float32(candidate), _LARGEST_INT4).astype(np.float32)
        rounded = np.clip(np.rint(group / scale), _LEAST_INT4, _LARGEST_INT4) * scale
        error = importance @ np.square(rounded - group)
        best = np.where(error < least, scale, best)
        least = np.minimum(error, least)
    return best, np.zeros_like(best)
