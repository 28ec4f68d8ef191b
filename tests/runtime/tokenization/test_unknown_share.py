"""The share of what a vocabulary lacks is one of characters."""

import pytest

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.tokenization.unknown_share import (
    check_max_unknown,
    over_max_unknown,
    unknown_share,
)


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


@pytest.mark.parametrize("share", [None, 0, 0.0, 0.2, 1, 1.0])
def test_a_share_is_a_limit(share: object) -> None:
    check_max_unknown(share)


@pytest.mark.parametrize("share", [-0.1, 1.1, 20, float("nan"), True, "0.2", [0.2]])
def test_what_is_no_share_is_no_limit(share: object) -> None:
    with pytest.raises(OptionsError, match=r"max_unknown is .*, expected a share from 0 to 1"):
        check_max_unknown(share)


def test_the_error_has_share_and_limit_and_says_what_to_do() -> None:
    assert str(over_max_unknown(0.25, 0.2)) == (
        "the tokenizer does not know 25.0% of the text's characters, max_unknown is 20.0%: use a "
        "model of its language, clean the text, or raise max_unknown (--max-unknown)"
    )
