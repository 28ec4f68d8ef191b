"""Block-sparse attention: against loops in NumPy over the keys that a query sees."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from exporter.tolerances import assert_close
from pegasus_export.dialects import standard
from pegasus_export.dialects.block_sparse import (
    SparsePattern,
    attend_any_length,
    attend_block_sparse,
    split_blocks,
)

HEADS, D_MODEL = 2, 12
Float64 = npt.NDArray[np.float64]


def make_pattern(block_size: int, num_random: int, table: Tensor | None = None) -> SparsePattern:
    return SparsePattern(
        block_size=block_size,
        num_random_blocks=num_random,
        longest_full=(5 + 2 * num_random) * block_size,
        random_blocks=table,
    )


def seen_blocks(query: int, count: int, random_blocks: list[int]) -> Counter[int]:
    """Key block -> how often a query block sees it, of `count` blocks."""
    if query in (0, count - 1):
        return Counter(range(count))
    regular = {0, query - 1, query, query + 1, count - 1}
    return Counter(regular) + Counter(block for block in random_blocks if block < count)


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, length: int, head: int, pattern: SparsePattern
) -> Float64:
    """query, key, value [S, Dh] of one head, of which `length` are tokens -> [S, Dh], by loops."""
    q, k, v = (np.asarray(x, np.float64) for x in (query, key, value))
    result = np.zeros_like(q)
    block_size = pattern.block_size
    count = -(-len(q) // block_size)
    for row in range(length):
        block = row // block_size
        if pattern.random_blocks is None or block in (0, count - 1):
            chosen = [0] * pattern.num_random_blocks
        else:
            chosen = pattern.random_blocks[head, block - 1].tolist()
        times = seen_blocks(block, count, chosen)
        keys = [key for key in range(length) if times[key // block_size]]
        weights = np.array([times[key // block_size] for key in keys], np.float64)
        weights *= np.exp(k[keys] @ q[row] / np.sqrt(q.shape[1]))
        result[row] = weights / weights.sum() @ v[keys]
    return result


def check(pattern: SparsePattern, lengths: list[int]) -> None:
    longest = max(lengths)
    query, key, value = torch.randn(3, len(lengths), longest, D_MODEL)
    mask = torch.zeros(len(lengths), longest, dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    got = attend_block_sparse(query, key, value, mask, HEADS, pattern)
    for row, length in enumerate(lengths):
        heads = [x[row].chunk(HEADS, dim=1) for x in (query, key, value)]
        expected = [
            plain_attention(*parts, length=length, head=head, pattern=pattern)
            for head, parts in enumerate(zip(*heads, strict=True))
        ]
        assert_close(got[row], np.concatenate(expected, axis=1))


@pytest.mark.parametrize("num_random", [0, 1, 2, 3])
@pytest.mark.parametrize("block_size", [1, 3, 4])
def test_every_query_sees_its_blocks(block_size: int, num_random: int) -> None:
    for blocks in (6, 7, 12):
        check(make_pattern(block_size, num_random), [blocks * block_size])


@pytest.mark.parametrize("lengths", [[31], [29], [30, 32, 17], [25, 3, 1], [40, 21]])
def test_padding_is_not_seen_and_comes_out_as_zero(lengths: list[int]) -> None:
    check(make_pattern(4, 2), lengths)


@pytest.mark.parametrize("lengths", [[33], [48], [40, 23]])
def test_blocks_of_a_table_are_seen_as_often_as_they_stand_there(lengths: list[int]) -> None:
    table = torch.randint(0, 12, (HEADS, 10, 2))
    table[0, 3] = 5  # one twice, and a neighbour
    check(make_pattern(4, 2, table), lengths)


def test_blocks_of_a_table_beyond_the_source_are_not_seen() -> None:
    table = torch.full((HEADS, 10, 1), 11)
    check(make_pattern(4, 1, table), [29])


@pytest.mark.parametrize("length", [1, 35, 36, 37, 40])
def test_the_length_of_the_batch_decides(length: int) -> None:
    pattern = make_pattern(4, 2)  # in full up to 36
    query, key, value = torch.randn(3, 2, length, D_MODEL)
    mask = torch.ones(2, length, dtype=torch.int64)
    mask[1, length // 2 + 1 :] = 0
    got = attend_any_length(query, key, value, mask, HEADS, pattern)
    if length > 36:
        expected = attend_block_sparse(query, key, value, mask, HEADS, pattern)
    else:
        expected = standard.attend_padded(query, key, value, mask, HEADS)
    assert torch.equal(got, expected)


@pytest.mark.parametrize(("length", "padded"), [(1, 4), (4, 4), (5, 8), (8, 8)])
def test_padding_fills_the_last_block(length: int, padded: int) -> None:
    hidden = torch.randn(2, length, 3)
    blocks = split_blocks(hidden, 4)
    assert blocks.shape == (2, padded // 4, 4, 3)
    got = blocks.flatten(1, 2)
    assert torch.equal(got[:, :length], hidden)
    assert not got[:, length:].any()
