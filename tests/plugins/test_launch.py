"""Launches: every tile of queries has its programs, and no shape needs more than the workspace."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegasus_plugins.launch import LEAST_BLOCKS, Launch, plan_launch, workspace_limit
from pegasus_plugins.specification import BLOCK_SIZES, HEAD_DIMS, AttentionSpec
from plugins.attention_case import make_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one program of `attend_blocks` computes: queries of a tile, with the keys of blocks."""

    head: int
    """Of batch times heads."""
    block: int
    tile: int
    keys: range
    """Blocks, of the first and the last block; empty in the middle, where they are five."""


def programs(
    launch: Launch, spec: AttentionSpec, *, batch: int, length: int, tile_rows: int
) -> Iterator[Program]:
    """As `kernel.py` makes them of a program's number."""
    tiles = spec.block_size // tile_rows
    num_blocks = spec.num_blocks(length)
    num_ends = num_blocks if spec.is_full(length) else min(num_blocks, 2)
    ends_per_head = num_ends * launch.num_splits * tiles
    middle_per_head = (num_blocks - num_ends) * tiles
    per_split = -(-num_blocks // launch.num_splits)
    assert launch.num_programs % (ends_per_head + middle_per_head) == 0
    heads = launch.num_programs // (ends_per_head + middle_per_head)
    assert heads == batch * spec.num_heads
    for number in range(launch.num_programs):
        if number < heads * ends_per_head:
            head, rest = divmod(number, ends_per_head)
            end, rest = divmod(rest, launch.num_splits * tiles)
            split, tile = divmod(rest, tiles)
            block = end if spec.is_full(length) else end * (num_blocks - 1)
            keys = range(num_blocks)[split * per_split :][:per_split]
        else:
            head, rest = divmod(number - heads * ends_per_head, middle_per_head)
            middle, tile = divmod(rest, tiles)
            block, keys = 1 + middle, range(0)
        yield Program(head=head, block=block, tile=tile, keys=keys)


shapes = st.fixed_dictionaries(
    {
        "num_heads": st.integers(1, 16),
        "block_size": st.sampled_from(BLOCK_SIZES),
        "longest_full": st.sampled_from([0, 1, 300, 704]),
        "batch": st.integers(1, 4),
        "length": st.integers(1, 6000),
        "num_sms": st.integers(1, 200),
        "programs_per_sm": st.integers(1, 8),
        "halves": st.sampled_from([1, 2, 4]),
    }
)


def launched(shape: dict[str, int]) -> tuple[AttentionSpec, Launch, int]:
    """halves: tiles per block."""
    spec = make_spec(
        num_heads=shape["num_heads"],
        block_size=shape["block_size"],
        longest_full=shape["longest_full"],
    )
    tile_rows = max(16, spec.block_size // shape["halves"])
    launch = plan_launch(
        spec,
        batch=shape["batch"],
        length=shape["length"],
        head_dim=64,
        tile_rows=tile_rows,
        num_sms=shape["num_sms"],
        programs_per_sm=shape["programs_per_sm"],
    )
    return spec, launch, tile_rows


@settings(max_examples=60, deadline=None)
@given(shape=shapes)
def test_every_query_is_computed_once_and_the_ends_with_every_key(shape: dict[str, int]) -> None:
    shape = {**shape, "num_heads": min(shape["num_heads"], 2), "length": shape["length"] // 4 + 1}
    spec, launch, tile_rows = launched(shape)
    length = shape["length"]
    num_blocks = spec.num_blocks(length)
    middle: Counter[tuple[int, int, int]] = Counter()
    ends: Counter[tuple[int, int, int, int]] = Counter()
    found = programs(launch, spec, batch=shape["batch"], length=length, tile_rows=tile_rows)
    for program in found:
        place = program.head, program.block, program.tile
        if spec.is_full(length) or program.block in (0, num_blocks - 1):
            ends.update((*place, key) for key in program.keys)
        else:
            middle[place] += 1
    heads = range(shape["batch"] * spec.num_heads)
    tiles = range(spec.block_size // tile_rows)
    rows = set(range(num_blocks))
    end_rows = rows if spec.is_full(length) else {0, num_blocks - 1}
    assert middle == Counter((h, r, t) for h in heads for r in rows - end_rows for t in tiles)
    assert ends == Counter(
        (h, r, t, k) for h in heads for r in end_rows for t in tiles for k in range(num_blocks)
    )


@settings(max_examples=500, deadline=None)
@given(shape=shapes, head_dim=st.sampled_from(HEAD_DIMS))
def test_no_shape_needs_more_workspace_than_the_limit(shape: dict[str, int], head_dim: int) -> None:
    spec, _, tile_rows = launched(shape)
    launch = plan_launch(
        spec,
        batch=shape["batch"],
        length=shape["length"],
        head_dim=head_dim,
        tile_rows=tile_rows,
        num_sms=shape["num_sms"],
        programs_per_sm=shape["programs_per_sm"],
    )
    limit = workspace_limit(head_dim=head_dim, tile_rows=tile_rows, num_sms=shape["num_sms"])
    assert 0 <= launch.workspace_bytes <= limit


@settings(max_examples=200, deadline=None)
@given(shape=shapes)
def test_only_ends_that_are_split_need_workspace_and_a_second_kernel(shape: dict[str, int]) -> None:
    spec, launch, tile_rows = launched(shape)
    tiles = shape["batch"] * spec.num_heads * spec.block_size // tile_rows
    if launch.num_splits == 1:
        assert (launch.combine_programs, launch.workspace_bytes) == (0, 0)
        return
    assert not spec.is_full(shape["length"])
    assert launch.combine_programs == 2 * tiles
    floats = launch.combine_programs * launch.num_splits * tile_rows * (64 + 2)
    assert launch.workspace_bytes == 4 * floats


@pytest.mark.parametrize(
    ("num_blocks", "num_sms", "per_sm", "num_splits"),
    [
        (1, 132, 4, 1),
        (LEAST_BLOCKS, 132, 4, 1),  # no more keys than the others read
        (LEAST_BLOCKS + 1, 132, 4, 2),
        (64, 132, 4, 8),  # 64 / LEAST_BLOCKS
        (256, 132, 4, 16),  # 4 programs on each of 132, for 32 tiles
        (256, 132, 2, 8),
        (256, 132, 9, 16),  # MOST_PROGRAMS_PER_SM
        (256, 8, 4, 1),
        (256, 24, 4, 3),
    ],
)
def test_keys_of_the_ends_are_split_as_far_as_programs_run_at_once(
    num_blocks: int, num_sms: int, per_sm: int, num_splits: int
) -> None:
    spec = make_spec(num_heads=16, block_size=64)
    launch = plan_launch(
        spec,
        batch=1,
        length=64 * num_blocks,
        head_dim=64,
        tile_rows=64,
        num_sms=num_sms,
        programs_per_sm=per_sm,
    )
    assert launch.num_splits == num_splits
    ends = min(num_blocks, 2)
    assert launch.num_programs == 16 * (ends * num_splits + num_blocks - ends)


def test_sources_that_are_attended_to_in_full_are_not_split() -> None:
    spec = make_spec(num_heads=2, block_size=16, longest_full=704)
    launch = plan_launch(
        spec, batch=1, length=704, head_dim=64, tile_rows=16, num_sms=132, programs_per_sm=4
    )
    assert (launch.num_splits, launch.num_programs) == (1, 2 * 44)
