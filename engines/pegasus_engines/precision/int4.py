"""A weight matrix as 4-bit integers, with a scale and a zero per block of 32 inputs of a channel.

The layout is that of ONNX Runtime's MatMulNBits (docs/ContribOperators.md): integers 0 to 15, the
earlier of two inputs is in the lower half of its byte, and so is the earlier of two blocks' zeros.

Each scale is the one of a few that errs least, in squares weighted by the inputs' size: smaller
ones clip the largest weights and are finer for all others.

Dimensions: N output channels, K input channels, M = ceil(K / 32) blocks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_engines.precision.compensated import Grid, round_compensated

__all__ = ["BLOCK_SIZE", "Int4Blocks", "dequantize_blocks", "quantize_blocks"]

BLOCK_SIZE = 32
_LARGEST = 15
_CANDIDATES = (1.0, 0.95, 0.9, 0.85, 0.8)
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Int4Blocks:
    """weight[n, 32 m + i] is about (integer[n, m, i] - zero[n, m]) * scale[n, m]."""

    packed: npt.NDArray[np.uint8]
    """[N, M, 16]: two integers a byte."""
    scale: Float32
    """[N, M], positive."""
    zero: npt.NDArray[np.uint8]
    """[N, ceil(M / 2)]: two a byte."""


def quantize_blocks(weight: Float32, rows: Float32 | None = None) -> Int4Blocks:
    """weight [N, K] float32, finite -> 4-bit integers; the last block is padded with zeros.

    rows: [R, K] of what the layer reads, on which rounding errs least; or none.
    """
    missing = -weight.shape[1] % BLOCK_SIZE
    padded = np.pad(weight, ((0, 0), (0, missing)))
    if rows is not None:
        rows = np.pad(rows, ((0, 0), (0, missing)))
    grid = Grid(low=0, high=_LARGEST, fit=_fit)
    found = round_compensated(padded, rows, grid=grid, size=BLOCK_SIZE)
    integers = found.values.astype(np.uint8).reshape(*found.scale.shape, BLOCK_SIZE)
    zero = np.pad(found.zero.astype(np.uint8), ((0, 0), (0, found.zero.shape[1] % 2)))
    return Int4Blocks(packed=_pack(integers), scale=found.scale, zero=_pack(zero))


def dequantize_blocks(blocks: Int4Blocks, *, columns: int) -> Float32:
    """The matrix [N, K] float32 that the integers stand for; columns: K."""
    count = blocks.scale.shape[1]
    integers, zero = _unpack(blocks.packed), _unpack(blocks.zero)[:, :count, None]
    matrix: Float32 = (integers - zero) * blocks.scale[..., None]
    return matrix.reshape(len(matrix), -1)[:, :columns]


def _pack(nibbles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return (nibbles[..., 0::2] | nibbles[..., 1::2] << 4).astype(np.uint8)


def _unpack(packed: npt.NDArray[np.uint8]) -> Float32:
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).astype(np.float32)
    return nibbles.reshape(*packed.shape[:-1], -1)


def _fit(group: Float32, importance: Float32) -> tuple[Float32, Float32]:
    """[32, N], [32] -> scale and zero [N]; 0 is always one of the steps."""
    low, high = np.minimum(group.min(axis=0), 0), np.maximum(group.max(axis=0), 0)
    width = (high - low) / np.float32(_LARGEST)
    is_normal = width > 2 * np.finfo(np.float32).tiny  # nothing is divided by what is smaller
    width = np.where(is_normal, width, np.float32(1))
    zero = np.clip(np.rint(-low / width), 0, _LARGEST).astype(np.float32)
    best, least = width, np.full(len(width), np.inf, dtype=np.float32)
    for candidate in _CANDIDATES:
        scale = width * np.float32(candidate)
        rounded = (np.clip(np.rint(group / scale) + zero, 0, _LARGEST) - zero) * scale
        error = importance @ np.square(rounded - group)
        best = np.where(error < least, scale, best)
        least = np.minimum(error, least)
    return best, zero
