"""Which blocks of keys each block of a source sees, as inputs of a block-sparse encoder.

The first and the last block see all, which the graph knows. In a source up to `longest_full`
tokens, the others see all too: that is full attention. In a longer one, block i sees the first, its
neighbours, itself and the last; the first one counts 1 + r times where transformers, in inference,
puts it in the place of its r random blocks (pattern hf-eval).

Dimensions: N blocks, M = N - 2 blocks in the middle, K blocks seen.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Architecture

__all__ = ["SeenBlocks", "see_blocks"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenBlocks:
    """See the encoder's inputs in `exporter/pegasus_export/dialects/trt.py`."""

    blocks: npt.NDArray[np.int64]
    """[M, K]"""
    bias: npt.NDArray[np.float32]
    """[M, K]; the lowest float where a block is not to be seen a second time."""
    last_random: npt.NDArray[np.int64]
    """[1]: the last block of a seeded pattern's table that is seen, -1 for none."""


def see_blocks(facts: Architecture, num_blocks: int, *, tokens: int) -> SeenBlocks:
    """For a source of `tokens` tokens, without padding, in so many blocks."""
    threshold = facts.longest_full
    assert threshold is not None
    middle = np.arange(1, num_blocks - 1)[:, None]  # [M, 1]
    last = num_blocks - 1
    if tokens <= threshold:
        blocks = np.broadcast_to(np.arange(num_blocks), (num_blocks - 2, num_blocks))
        bias = np.zeros(blocks.shape, dtype=np.float32)
        return SeenBlocks(blocks=blocks.copy(), bias=bias, last_random=np.array([-1]))
    blocks = middle * np.array([0, 1, 1, 1, 0]) + np.array([0, -1, 0, 1, last])
    bias = np.zeros(blocks.shape, dtype=np.float32)
    if facts.random_blocks == "hf-eval":
        bias[:, 0] = np.log(1 + (facts.num_random_blocks or 0))
    lowest = np.finfo(np.float32).min
    bias[0, 1] = lowest  # the left of block 1 is the first block
    bias[-1, 3] = lowest  # the right of the last but one is the last
    return SeenBlocks(blocks=blocks, bias=bias, last_random=np.array([last]))
