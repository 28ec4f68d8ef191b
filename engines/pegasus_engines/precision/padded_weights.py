"""Vocabulary and positions as TensorRT's graphs have them: padded.

Tensor cores like sizes that are multiples of 8, and PEGASUS has 96103 tokens. Tokens that there
are not have rows of zeros, and a bias that leaves them no probability.

Dimensions: V vocabulary, Vp padded, D model dim.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pegasus_engines.network import ENCODER_POSITIONS, FINAL_BIAS, TOKEN_TABLES
from pegasus_runtime.bundle.block_sparse import whole_blocks

__all__ = ["pad_rows", "padded_weights"]

_MULTIPLE = 8
Float32 = npt.NDArray[np.float32]


def padded_weights(
    weights: Mapping[str, Float32], *, block_size: int | None
) -> Iterator[tuple[str, Float32]]:
    """The weights one after another, padded; the final bias is always among them.

    block_size: of sparse attention, whose positions are padded to whole blocks, three or more.
    """
    vocab_size = next(len(weights[name]) for name in TOKEN_TABLES if name in weights)
    padded = vocab_size + -vocab_size % _MULTIPLE
    for name, array in weights.items():
        if name in TOKEN_TABLES:
            yield name, pad_rows(array, padded)
        elif name == ENCODER_POSITIONS and block_size is not None:
            yield name, pad_rows(array, whole_blocks(len(array), block_size))
        elif name != FINAL_BIAS:
            yield name, array
    bias = np.full(padded, np.finfo(np.float32).min, dtype=np.float32)
    bias[:vocab_size] = weights.get(FINAL_BIAS, np.zeros(vocab_size, np.float32)).reshape(-1)
    yield FINAL_BIAS, bias


def pad_rows(array: Float32, rows: int) -> Float32:
    """Zeros below a matrix, so that it has so many rows."""
    missing = rows - len(array)
    return np.pad(array, ((0, missing), (0, 0))) if missing else array
