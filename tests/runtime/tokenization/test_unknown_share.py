"""The share of what a vocabulary lacks is one of characters."""

import pytest

from pegasus_runtime.tokenization.unknown_share import unknown_share


@pytest.mark.parametrize(
    ("token_ids", "offsets", "expected"),
    [
        ([], [], 0.0),
        ([5, 6], [(0, 2), (2, 5)], 0.0),
        ([1, 1], [(0, 2), (2, 5)], 1.0),
        ([5, 1], [(0, 2), (2, 5)], 0.5),  # the space counts for nothing
        ([5, 1], [(0, 0), (0, 2)], 1.0),  # a piece that stands for nothing, neither
    ],
)
def test_characters_count_and_spaces_do_not(
    token_ids: list[int], offsets: list[tuple[int, int]], expected: float
) -> None:
    assert unknown_share("ab cd", token_ids, offsets, unk_token_id=1) == expected
