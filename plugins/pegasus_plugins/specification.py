"""What the operator `pegasus::BlockSparseAttention` is told: its attributes, and what it takes.

The operator itself is specified in `plugins/README.md`. Dimensions: B batch, H heads, S source,
Dh head dim, b block size, N = ceil(S / b) blocks, r random blocks.
"""

import math
from dataclasses import dataclass

__all__ = [
    "BLOCK_SIZES",
    "DTYPES",
    "HEAD_DIMS",
    "NAME",
    "NAMESPACE",
    "VERSION",
    "AttentionSpec",
    "SpecificationError",
    "check_head_dim",
]

NAMESPACE = "pegasus"
NAME = "BlockSparseAttention"
VERSION = "1"

BLOCK_SIZES = (16, 32, 64, 128)
HEAD_DIMS = (32, 64, 128)
DTYPES = ("float16", "bfloat16", "float32")


class SpecificationError(ValueError):
    """Attributes or shapes that the operator does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSpec:
    """The operator's attributes.

    num_heads: H. block_size: b. num_random_blocks: r; without a plan, block 0 counts 1 + r times
    for queries in the middle; with one, that many blocks per row are its. longest_full: sources of
    up to so many tokens are attended to in full; 0 for none. scale: of the scores.
    Raises: SpecificationError.
    """

    num_heads: int
    block_size: int
    num_random_blocks: int
    longest_full: int
    scale: float

    def __post_init__(self) -> None:
        if self.num_heads < 1:
            raise SpecificationError(f"num_heads is {self.num_heads}, expected at least 1")
        if self.block_size not in BLOCK_SIZES:
            raise SpecificationError(
                f"block_size is {self.block_size}, expected one of {_listed(BLOCK_SIZES)}"
            )
        if self.num_random_blocks < 0:
            raise SpecificationError(
                f"num_random_blocks is {self.num_random_blocks}, expected at least 0"
            )
        if self.longest_full < 0:
            raise SpecificationError(f"longest_full is {self.longest_full}, expected at least 0")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise SpecificationError(f"scale is {self.scale:g}, expected a positive number")

    def num_blocks(self, length: int) -> int:
        """N: the last one may be shorter than the others."""
        return -(-length // self.block_size)

    def is_full(self, length: int) -> bool:
        """Whether every query of a source of so many tokens sees every key."""
        return length <= self.longest_full

    def first_bias(self, *, has_plan: bool) -> float:
        """What is added to the scores of block 0's keys, for queries in the middle."""
        return 0.0 if has_plan else math.log1p(self.num_random_blocks)

    def check_plan(self, rows: int, columns: int, length: int) -> None:
        """Whether a plan [L', r] has what a source needs. Raises: SpecificationError."""
        if columns != self.num_random_blocks or columns < 1:
            raise SpecificationError(
                f"the plan has {columns} columns, expected num_random_blocks, "
                f"{self.num_random_blocks}, and at least 1"
            )
        if rows % self.num_heads:
            raise SpecificationError(
                f"the plan has {rows} rows, expected a multiple of num_heads, {self.num_heads}"
            )
        needed = self.num_blocks(length) - 2
        if not self.is_full(length) and rows // self.num_heads < needed:
            raise SpecificationError(
                f"the plan has {rows // self.num_heads} rows per head, a source of {length} tokens "
                f"in blocks of {self.block_size} needs {needed}"
            )


def check_head_dim(head_dim: int) -> None:
    """Raises: SpecificationError for a Dh that no kernel is compiled for."""
    if head_dim not in HEAD_DIMS:
        raise SpecificationError(f"head dim is {head_dim}, expected one of {_listed(HEAD_DIMS)}")


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
