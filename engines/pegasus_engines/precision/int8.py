"""A weight matrix as 8-bit integers with one scale per output channel.

Products of unsigned 8-bit activations and signed 8-bit weights run on three kinds of x86 CPUs. With
AMX or VNNI they are exact. With AVX2 alone the instruction (vpmaddubsw) adds two neighbouring
products in 16 bits and saturates, silently, where activation x weight + activation x weight
exceeds 32767. The usual way out, 7-bit weights, costs every channel one bit.

Here each channel is scaled just so far that no two neighbours add up to more than 128 in
magnitude: 255 x 128 = 32640 fits. The results are then exact, and the same, on every CPU. Few
channels have two large neighbours, so the steps are a third coarser than those of 8 bits, rather
than twice as coarse.

Source: MLAS, onnxruntime/core/mlas/lib/x86_64/QgemmU8S8KernelAvx2.asm: products of inner
positions 2i and 2i + 1 are the ones that are added.

Dimensions: N output channels, K input channels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Int8Rows", "dequantize_rows", "quantize_rows"]

_LARGEST = 127
_CHUNK_ROWS = 64  # of a matrix: what a pass leaves in the processor's cache, the next one finds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Int8Rows:
    """weight[n, k] is about values[n, k] * scale[n]."""

    values: npt.NDArray[np.int8]
    """[N, K], in [-127, 127]; values[n, 2i] + values[n, 2i + 1] is in [-128, 128]."""
    scale: npt.NDArray[np.float32]
    """[N], positive."""


def quantize_rows(weight: npt.NDArray[np.float32]) -> Int8Rows:
    """weight [N, K] float32, finite -> 8-bit integers, symmetric, rounded to nearest."""
    num_rows, num_columns = weight.shape
    values = np.empty((num_rows, num_columns), dtype=np.int8)
    scale = np.empty(num_rows, dtype=np.float32)
    for start in range(0, num_rows, _CHUNK_ROWS):
        chunk = slice(start, start + _CHUNK_ROWS)
        rows = weight[chunk]
        scale[chunk] = _row_scale(rows)
        values[chunk] = np.rint(rows / scale[chunk, None])
    return Int8Rows(values=values, scale=scale)


def dequantize_rows(rows: Int8Rows) -> npt.NDArray[np.float32]:
    """The matrix [N, K] float32 that the integers stand for."""
    return rows.values * rows.scale[:, None]


def _row_scale(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Neighbours of opposite sign need no test: their sum is smaller than the larger of them."""
    largest = np.abs(rows).max(axis=1)
    if rows.shape[1] > 1:
        even, odd = rows[:, 0::2], rows[:, 1::2]
        pairs = even[:, : odd.shape[1]] + odd
        largest = np.maximum(largest, np.abs(pairs).max(axis=1))
    scale = largest / np.float32(_LARGEST)
    is_normal = scale >= np.finfo(np.float32).tiny  # nothing can be divided by what is smaller
    return np.where(is_normal, scale, np.float32(1))
