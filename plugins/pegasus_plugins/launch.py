"""How many programs compute an attention, and what they keep in between: plain arithmetic.

`csrc/launch.h` is the same in C++; a test holds the two against each other.

A program computes `tile_rows` rows of queries. Those of a block in the middle read five blocks of
keys, those of the first and the last block read all N, which would take them longer than everything
else together takes: so their keys are split among several programs, and a second kernel combines
what these found.

Dimensions: B batch, H heads, S source, Dh head dim, b block size, N blocks.
"""

from dataclasses import dataclass

from pegasus_plugins.specification import AttentionSpec

__all__ = ["LEAST_BLOCKS", "MOST_PROGRAMS_PER_SM", "Launch", "plan_launch", "workspace_limit"]

MOST_PROGRAMS_PER_SM = 4
"""More than so many at once are not counted on, though small ones may fit: an engine's workspace is
for these."""
LEAST_BLOCKS = 8
"""Of keys, for a program that reads a part of them: not many more than the others read."""
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One attention over queries of one shape."""

    num_programs: int
    """Of kernel `attend_blocks`, those of the first and the last blocks before all others."""
    num_splits: int
    """Among how many programs the keys of a tile of the first or the last block are split."""
    combine_programs: int
    """Of kernel `combine_splits`, which runs after it; 0 where nothing is split."""
    workspace_bytes: int
    """What the programs write and the second kernel reads; 0 where nothing is split."""


def plan_launch(
    spec: AttentionSpec,
    *,
    batch: int,
    length: int,
    head_dim: int,
    tile_rows: int,
    num_sms: int,
    programs_per_sm: int,
) -> Launch:
    """batch: B. length: S. head_dim: Dh. tile_rows divides b; num_sms: of the GPU; programs_per_sm:
    how many of them one of its multiprocessors runs at once, `KernelImage.programs_per_sm`.

    The ends are split so that all their programs run at once, and no further: a second wave would
    take as long as the first.
    """
    at_once = num_sms * min(programs_per_sm, MOST_PROGRAMS_PER_SM)
    num_blocks = spec.num_blocks(length)
    tiles = batch * spec.num_heads * (spec.block_size // tile_rows)  # of one block of queries
    num_ends = num_blocks if spec.is_full(length) else min(num_blocks, 2)
    num_splits = 1
    if not spec.is_full(length):
        most = -(-num_blocks // LEAST_BLOCKS)
        num_splits = max(1, min(at_once // max(1, tiles * num_ends), most))
    num_programs = tiles * (num_ends * num_splits + num_blocks - num_ends)
    if num_splits == 1:
        return Launch(
            num_programs=num_programs, num_splits=1, combine_programs=0, workspace_bytes=0
        )
    partial_rows = tiles * num_ends * num_splits * tile_rows
    return Launch(
        num_programs=num_programs,
        num_splits=num_splits,
        combine_programs=tiles * num_ends,
        workspace_bytes=partial_rows * (head_dim + 2) * _FLOAT_BYTES,
    )


def workspace_limit(*, head_dim: int, tile_rows: int, num_sms: int) -> int:
    """What no shape's `workspace_bytes` exceed, on a GPU of so many multiprocessors."""
    return MOST_PROGRAMS_PER_SM * num_sms * tile_rows * (head_dim + 2) * _FLOAT_BYTES
