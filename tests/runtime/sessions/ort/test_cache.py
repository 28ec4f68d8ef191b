"""The cache as plain arrays: which row finds which token where, whoever follows or leaves."""

import numpy as np
import pytest

from pegasus_runtime.sessions.ort.cache import CHUNK_TOKENS, TargetCache, keep_documents

NAMES = ("self_key.0", "self_value.0")


def cache_of(batch: int, max_length: int = 12) -> TargetCache:
    return TargetCache(NAMES, batch=batch, num_heads=2, head_words=1, max_length=max_length)


def write(cache: TargetCache, tokens: list[int]) -> None:
    """What the decoder does in a step: each row's token goes to its own row of the cache."""
    if cache.length == cache.capacity:
        cache.grow()
    for array in cache.arrays.values():
        array[:, :, cache.length, 0] = np.array(tokens)[:, None]
    cache.length += 1


def histories(cache: TargetCache) -> list[list[int]]:
    """What each row looks back at, through the indirection."""
    batch, rows, _ = cache.indirection.shape
    found = []
    for name in NAMES:
        keys = cache.arrays[name].reshape(batch, rows, *cache.arrays[name].shape[1:])
        positions = range(cache.length)
        found.append(
            [
                [
                    int(keys[document, cache.indirection[document, row, t], 1, t, 0])
                    for t in positions
                ]
                for document in range(batch)
                for row in range(rows)
            ]
        )
    assert found[0] == found[1]
    return found[0]


def two_documents() -> TargetCache:
    cache = cache_of(2)
    write(cache, [1, 2])
    cache.spread(2)
    write(cache, [11, 12, 21, 22])
    cache.follow(np.array([[1, 0], [0, 0]]))
    write(cache, [13, 14, 23, 24])
    return cache


def test_rows_continue_the_histories_of_their_parents() -> None:
    cache = two_documents()
    assert histories(cache) == [[1, 12, 13], [1, 11, 14], [2, 21, 23], [2, 21, 24]]
    cache.follow(np.array([[1, 1], [1, 0]]))
    write(cache, [15, 16, 25, 26])
    assert histories(cache) == [[1, 11, 14, 15], [1, 11, 14, 16], [2, 21, 24, 25], [2, 21, 23, 26]]


@pytest.mark.parametrize("documents", [[1], [0], [1, 0]])
def test_those_who_stay_keep_their_histories(documents: list[int]) -> None:
    cache = two_documents()
    expected = [histories(cache)[2 * n + row] for n in documents for row in range(2)]
    cache.keep(np.array(documents))
    assert histories(cache) == expected
    cache.follow(np.array([[1, 1]] * len(documents)))
    write(cache, list(range(2 * len(documents))))
    assert [row[:3] for row in histories(cache)] == [
        expected[2 * n + 1] for n in range(len(documents)) for _ in range(2)
    ]


def test_documents_may_leave_before_the_rows_are_spread() -> None:
    cache = cache_of(3)
    write(cache, [1, 2, 3])
    cache.keep(np.array([2, 1]))
    cache.spread(2)
    write(cache, [31, 32, 21, 22])
    assert histories(cache) == [[3, 31], [3, 32], [2, 21], [2, 22]]


def test_there_is_room_for_a_chunk_and_then_for_another_up_to_the_longest_row() -> None:
    cache = cache_of(1, max_length=2 * CHUNK_TOKENS + 5)
    capacities = []
    for token in range(2 * CHUNK_TOKENS + 5):
        write(cache, [token])
        capacities.append(cache.capacity)
        assert {array.shape[2] for array in cache.arrays.values()} == {cache.capacity}
    assert histories(cache) == [list(range(2 * CHUNK_TOKENS + 5))]
    assert sorted(set(capacities)) == [CHUNK_TOKENS, 2 * CHUNK_TOKENS, 2 * CHUNK_TOKENS + 5]
    assert capacities.count(CHUNK_TOKENS) == capacities.count(2 * CHUNK_TOKENS) == CHUNK_TOKENS


def test_short_rows_need_no_whole_chunk() -> None:
    assert cache_of(1, max_length=3).capacity == 3


def test_growing_keeps_the_histories_of_rows_that_follow_others() -> None:
    cache = cache_of(2, max_length=CHUNK_TOKENS + 9)
    write(cache, [0, 1])
    cache.spread(2)
    rng = np.random.default_rng(0)
    expected = [[0], [0], [1], [1]]
    for _ in range(CHUNK_TOKENS + 5):
        if cache.length > 1:
            parents = rng.integers(0, 2, (2, 2))
            cache.follow(parents)
            expected = [expected[2 * n + parent].copy() for n in range(2) for parent in parents[n]]
        tokens = rng.integers(0, 9, 4).tolist()
        write(cache, tokens)
        for row, token in zip(expected, tokens, strict=True):
            row.append(token)
    assert histories(cache) == expected


def test_kept_documents_are_the_first_part_of_the_same_array() -> None:
    array = np.arange(10).reshape(5, 2)
    kept = keep_documents(array, np.array([0, 4, 2]))
    assert kept.tolist() == [[0, 1], [8, 9], [4, 5]]
    assert np.shares_memory(kept, array)
    assert kept.flags.c_contiguous


def test_kept_documents_may_change_places_with_each_other() -> None:
    assert keep_documents(np.arange(4), np.array([1, 2, 0])).tolist() == [1, 2, 0]
