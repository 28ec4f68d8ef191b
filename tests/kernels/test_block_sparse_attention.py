"""Block-sparse attention against torch's spelling of it, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest
import torch

from kernels.library import Array, Kernels
from pegasus_export.dialects.block_sparse import SparsePattern, attend_any_length


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseBlocks:
    """What blocks see; random_blocks [H, rows, r] int64, None for pattern hf-eval."""

    heads: int
    block_size: int
    num_random: int
    longest_full: int
    random_blocks: Array | None = None


TOLERANCE = 4e-6
"""Of values of about unit size; scores reach 15 or so, and their rounding shows in the weights."""
CASES = (
    # Lengths around the borders of blocks, from three of them, of which one is in the middle.
    *((2, length, 2, 8, 4) for length in (9, 10, 11, 12, 13, 16, 17, 31, 40)),
    # Blocks that are one token, that fill no vector, no tile, or more than one tile.
    *((1, 9, 2, 5, 1), (2, 60, 2, 20, 11), (1, 230, 1, 16, 33), (1, 210, 1, 7, 65)),
    *((1, 449, 2, 24, 100), (1, 640, 1, 1, 128)),
    # As of google/bigbird-pegasus-large, and heads that fill no vector or several.
    *((1, 1091, 2, 64, 64), (1, 320, 2, 80, 64), (2, 200, 3, 33, 16), (1, 130, 1, 256, 16)),
)
"""B, S, H, Dh, block size."""
FULL = (
    *((2, length, 2, 8) for length in (1, 2, 63, 64, 65)),
    *((1, 129, 2, 64), (3, 70, 16, 64), (1, 300, 1, 80), (8, 17, 1, 5)),
)
"""B, S, H, Dh."""
MASKS = ("none", "right", "holes", "all of one document")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("pattern", ["hf-eval", "seeded"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_above_longest_full_each_block_sees_what_the_pattern_says(
    kernels: Kernels, case: tuple[int, ...], pattern: str, mask: str
) -> None:
    """Of a table, blocks beyond the end are not seen, and those it repeats are seen repeatedly."""
    batch, length, heads, head_dim, block_size = case
    count = -(-length // block_size)
    blocks = SparseBlocks(
        heads=heads,
        block_size=block_size,
        num_random=3,
        longest_full=0,
        random_blocks=_make_table(heads, count) if pattern == "seeded" else None,
    )
    _check(kernels, _make(batch, length, heads * head_dim), _make_mask(mask, batch, length), blocks)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("case", FULL, ids=str)
def test_up_to_longest_full_every_query_sees_every_token(
    kernels: Kernels, case: tuple[int, ...], mask: str
) -> None:
    """Rows that are padding are not zero there, and where all is padding they are the mean."""
    batch, length, heads, head_dim = case
    blocks = SparseBlocks(heads=heads, block_size=8, num_random=3, longest_full=length)
    _check(kernels, _make(batch, length, heads * head_dim), _make_mask(mask, batch, length), blocks)


@pytest.mark.parametrize("longest_full", [0, 100])
def test_queries_keys_and_values_may_lie_side_by_side(kernels: Kernels, longest_full: int) -> None:
    inputs, mask = _make(2, 100, 16), _make_mask("right", 2, 100)
    blocks = SparseBlocks(heads=2, block_size=10, num_random=3, longest_full=longest_full)
    query, key, value = np.split(np.concatenate(inputs, axis=-1), 3, axis=-1)
    found = _run(kernels, (query, key, value), mask, blocks)
    np.testing.assert_array_equal(found, _run(kernels, inputs, mask, blocks))


@pytest.mark.parametrize("longest_full", [0, 100])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_not_finite_shows_wherever_it_is_seen(
    kernels: Kernels, which: int, bad: float, longest_full: int
) -> None:
    inputs = _make(1, 100, 16)
    inputs[which][0, 45, 5] = bad
    blocks = SparseBlocks(heads=2, block_size=10, num_random=3, longest_full=longest_full)
    mask = np.ones((1, 100), np.int64)
    found = np.isfinite(_run(kernels, inputs, mask, blocks))
    assert not (found & ~np.isfinite(_attend(inputs, mask, blocks))).any()


def test_padding_is_never_read(kernels: Kernels) -> None:
    inputs = _make(1, 100, 16)
    mask = (np.arange(100) < 41).astype(np.int64)[None]
    for x in inputs:
        x[:, 41:] = np.nan
    blocks = SparseBlocks(heads=2, block_size=10, num_random=3, longest_full=0)
    found = _run(kernels, inputs, mask, blocks)
    assert np.isfinite(found[:, :41]).all()


ROUNDED = ((1, 100, 2, 64), (2, 65, 1, 24), (1, 512, 2, 32), (1, 1, 1, 2), (1, 70, 3, 34))
"""B, S, H, Dh."""


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("longest_full", [0, 512])
@pytest.mark.parametrize("case", ROUNDED, ids=str)
def test_what_may_be_rounded_is_rounded_to_bfloat16_at_most(
    source_kernels: Kernels, case: tuple[int, ...], longest_full: int, mask: str
) -> None:
    batch, length, heads, head_dim = case
    blocks = SparseBlocks(heads=heads, block_size=8, num_random=3, longest_full=longest_full)
    if longest_full == 0 and length < 24:
        pytest.skip("too short for a pattern")
    inputs = _make(batch, length, heads * head_dim)
    unmasked = _make_mask(mask, batch, length)
    found = _run(source_kernels, inputs, unmasked, blocks, may_round=True)
    if source_kernels.half == np.float16:
        np.testing.assert_array_equal(found, _run(source_kernels, inputs, unmasked, blocks))
        return
    query, key, value = (x.astype(ml_dtypes.bfloat16).astype(np.float32) for x in inputs)
    scale = 1 / np.sqrt(np.float32(head_dim))
    query = (inputs[0] * scale).astype(ml_dtypes.bfloat16).astype(np.float32) / scale
    expected = _attend((query, key, value), unmasked, blocks)
    assert np.abs(found - expected).max() <= 2**-8 * np.abs(value).max()


@pytest.mark.parametrize("may_round", [False, True])
@pytest.mark.parametrize("longest_full", [0, 512])
@pytest.mark.parametrize("pattern", ["hf-eval", "seeded"])
def test_a_document_is_the_same_to_the_bit_whatever_is_beside_it(
    kernels: Kernels, pattern: str, longest_full: int, may_round: bool
) -> None:
    """Tiles share keys in groups, which are larger where there are more documents."""
    inputs, mask = _make(9, 150, 96), _make_mask("right", 9, 150)
    blocks = SparseBlocks(
        heads=3,
        block_size=10,
        num_random=3,
        longest_full=longest_full,
        random_blocks=_make_table(3, 15) if pattern == "seeded" else None,
    )
    together = _run(kernels, inputs, mask, blocks, may_round=may_round)
    for b in (0, 4, 8):
        query, key, value = (x[b : b + 1] for x in inputs)
        alone = _run(kernels, (query, key, value), mask[b : b + 1], blocks, may_round=may_round)
        np.testing.assert_array_equal(together[b : b + 1], alone)


def _check(
    kernels: Kernels, inputs: tuple[Array, Array, Array], mask: Array, blocks: SparseBlocks
) -> None:
    found = _run(kernels, inputs, mask, blocks)
    assert np.abs(found - _attend(inputs, mask, blocks)).max() <= TOLERANCE


def _run(
    kernels: Kernels,
    inputs: tuple[Array, Array, Array],
    mask: Array,
    blocks: SparseBlocks,
    *,
    may_round: bool = False,
) -> Array:
    return kernels.block_sparse_attention(
        inputs,
        mask,
        blocks.heads,
        block_size=blocks.block_size,
        longest_full=blocks.longest_full,
        num_random=blocks.num_random,
        random_blocks=blocks.random_blocks,
        may_round=may_round,
    )


def _make(batch: int, length: int, width: int) -> tuple[Array, Array, Array]:
    generator = np.random.default_rng(0)
    shape = (batch, length, width)
    query, key, value = (generator.standard_normal(shape, dtype=np.float32) for _ in range(3))
    return 2 * query, key, value


def _make_table(heads: int, count: int) -> Array:
    """More rows than there are blocks in the middle, and blocks that are not there."""
    return np.random.default_rng(1).integers(0, count + 2, (heads, count, 3), np.int64)


def _make_mask(kind: str, batch: int, length: int) -> Array:
    mask = np.ones((batch, length), np.int64)
    if kind == "right":
        for b in range(batch):
            mask[b, max(1, length // (b + 2)) :] = 0
    if kind == "holes":
        mask = (np.random.default_rng(2).random((batch, length)) < 0.5).astype(np.int64)
    if kind == "all of one document":
        mask[0] = 0
    return mask


def _attend(inputs: tuple[Array, Array, Array], mask: Array, blocks: SparseBlocks) -> Array:
    query, key, value = (torch.from_numpy(x.astype(np.float64)) for x in inputs)
    table = blocks.random_blocks
    pattern = SparsePattern(
        block_size=blocks.block_size,
        num_random_blocks=blocks.num_random,
        longest_full=blocks.longest_full,
        random_blocks=None if table is None else torch.from_numpy(table),
    )
    tokens = torch.from_numpy(mask)
    return np.asarray(attend_any_length(query, key, value, tokens, blocks.heads, pattern))
