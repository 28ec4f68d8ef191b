"""A weight matrix as 4-bit integers, with one scale per block of 32 inputs of an output channel.

The layout is that of ONNX Runtime's MatMulNBits (docs/ContribOperators.md): integers 0 to 15 stand
for -8 to 7, the earlier of two inputs is in the lower half of its byte.

Dimensions: N output channels, K input channels, M = ceil(K / 32) blocks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCK_SIZE", "Int4Blocks", "dequantize_blocks", "quantize_blocks"]

BLOCK_SIZE = 32
_ZERO = 8
_CHUNK_ROWS = 64  # of a matrix: what a pass leaves in the processor's cache, the next one finds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Int4Blocks:
    """weight[n, 32 m + i] is about (integer[n, m, i] - 8) * scale[n, m]."""

    packed: npt.NDArray[np.uint8]
    """[N, M, 16]: two integers a byte."""
    scale: npt.NDArray[np.float32]
    """[N, M]; may be negative: the largest value of a block always becomes -8."""


def quantize_blocks(weight: npt.NDArray[np.float32]) -> Int4Blocks:
    """weight [N, K] float32, finite -> 4-bit integers; the last block is padded with zeros."""
    num_rows, num_columns = weight.shape
    num_blocks = -(-num_columns // BLOCK_SIZE)
    packed = np.empty((num_rows, num_blocks, BLOCK_SIZE // 2), dtype=np.uint8)
    scale = np.empty((num_rows, num_blocks), dtype=np.float32)
    for start in range(0, num_rows, _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        padding = ((0, 0), (0, num_blocks * BLOCK_SIZE - num_columns))
        blocks = np.pad(weight[chunk], padding).reshape(-1, num_blocks, BLOCK_SIZE)
        scale[chunk] = _block_scale(blocks)
        integers = np.rint(blocks / scale[chunk, :, None]) + _ZERO
        nibbles = np.clip(integers, 0, 2 * _ZERO - 1).astype(np.uint8)
        packed[chunk] = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    return Int4Blocks(packed=packed, scale=scale)


def dequantize_blocks(blocks: Int4Blocks, *, columns: int) -> npt.NDArray[np.float32]:
    """The matrix [N, K] float32 that the integers stand for; columns: K."""
    low, high = blocks.packed & 15, blocks.packed >> 4
    integers = np.stack([low, high], axis=-1).reshape(*blocks.scale.shape, BLOCK_SIZE)
    matrix: npt.NDArray[np.float32] = (integers.astype(np.float32) - _ZERO) * blocks.scale[
        ..., None
    ]
    return matrix.reshape(len(matrix), -1)[:, :columns]


def _block_scale(blocks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The value of largest magnitude, with its sign, becomes -8: all sixteen steps are used."""
    where = np.abs(blocks).argmax(axis=2)[..., None]
    largest = np.take_along_axis(blocks, where, axis=2)[..., 0]
    scale = largest / np.float32(-_ZERO)
    is_normal = np.abs(scale) >= np.finfo(np.float32).tiny  # nothing is divided by what is smaller
    return np.where(is_normal, scale, np.float32(1))
