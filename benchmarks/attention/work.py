"""The bytes and the operations of block-sparse attention, and the least time that a GPU needs.

Bytes are the least that any kernel moves: query, key, value and the output once each, and the mask.
Operations are those of the two products of every pair of blocks that our kernel computes: N for a
query block at either end, five for each in the middle, whole blocks always.

Dimensions: B batch, H heads, S source, Dh head dim, b block size, N blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from pegasus_plugins.specification import AttentionSpec

BLOCKS_SEEN = 5  # by a block in the middle: the first, its neighbours, itself, the last
MASK_BYTES = 4
OPERATIONS = 2 * 2  # a multiplication and an addition, in each of two products


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Of one attention."""

    num_bytes: int
    operations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """What this GPU was measured to do: copying its own memory, bytes read and written; and
    multiplying large matrices of fp16."""

    bytes_per_s: float
    operations_per_s: float


def count_block_pairs(spec: AttentionSpec, length: int) -> int:
    """Blocks of queries times blocks of keys that are multiplied, for one head."""
    num_blocks = spec.num_blocks(length)
    if spec.is_full(length):
        return num_blocks**2
    num_ends = min(num_blocks, 2)
    return num_ends * num_blocks + (num_blocks - num_ends) * BLOCKS_SEEN


def count_work(
    spec: AttentionSpec, *, batch: int, length: int, head_dim: int, number_bytes: int = 2
) -> Work:
    """Without a plan; of numbers of so many bytes."""
    heads = batch * spec.num_heads
    numbers = 4 * heads * length * head_dim  # query, key, value, output
    products = count_block_pairs(spec, length) * spec.block_size**2 * head_dim
    return Work(
        num_bytes=numbers * number_bytes + batch * length * MASK_BYTES,
        operations=heads * products * OPERATIONS,
    )


def least_s(work: Work, peaks: Peaks) -> tuple[float, str]:
    """Seconds that either the bytes or the operations need, whichever is more, and which."""
    moving_s = work.num_bytes / peaks.bytes_per_s
    multiplying_s = work.operations / peaks.operations_per_s
    return max((moving_s, "memory"), (multiplying_s, "products"))
