"""The operator's attributes: what is taken, and what is said of the rest."""

from collections.abc import Callable
from typing import Any

import pytest

import pegasus_plugins
from pegasus_plugins.specification import (
    BLOCK_SIZES,
    HEAD_DIMS,
    AttentionSpec,
    SpecificationError,
    check_head_dim,
)
from plugins.attention_case import make_spec


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_the_last_block_may_be_shorter(block_size: int) -> None:
    spec = make_spec(block_size=block_size)
    lengths = (0, 1, block_size, block_size + 1, 3 * block_size)
    assert [spec.num_blocks(length) for length in lengths] == [0, 1, 1, 2, 3]


def test_short_sources_are_attended_to_in_full() -> None:
    spec = make_spec(longest_full=704)
    assert [spec.is_full(length) for length in (1, 704, 705)] == [True, True, False]
    assert not make_spec(longest_full=0).is_full(1)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"num_heads": 0}, "num_heads is 0, expected at least 1"),
        ({"block_size": 48}, "block_size is 48, expected one of 16, 32, 64, 128"),
        ({"num_random_blocks": -1}, "num_random_blocks is -1, expected at least 0"),
        ({"longest_full": -1}, "longest_full is -1, expected at least 0"),
        ({"scale": 0.0}, "scale is 0, expected a positive number"),
        ({"scale": -0.125}, "scale is -0.125, expected a positive number"),
        ({"scale": float("inf")}, "scale is inf, expected a positive number"),
        ({"scale": float("nan")}, "scale is nan, expected a positive number"),
    ],
)
def test_attributes_out_of_range_are_refused(attributes: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {
        "num_heads": 16,
        "block_size": 64,
        "num_random_blocks": 3,
        "longest_full": 704,
        "scale": 0.125,
    }
    AttentionSpec(**usual)
    with pytest.raises(SpecificationError, match=f"^{message}$"):
        AttentionSpec(**{**usual, **attributes})


def test_a_plan_needs_a_row_for_every_block_in_the_middle_of_every_head() -> None:
    spec = make_spec(num_heads=2, block_size=16, num_random_blocks=3)
    for rows in (8, 10, 200):
        spec.check_plan(rows, 3, 6 * 16)
    message = "the plan has 3 rows per head, a source of 81 tokens in blocks of 16 needs 4"
    with pytest.raises(SpecificationError, match=message):
        spec.check_plan(6, 3, 5 * 16 + 1)
    make_spec(num_heads=2, longest_full=81).check_plan(6, 3, 81)  # which reads no plan


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: make_spec(num_random_blocks=3).check_plan(8, 2, 96),
            "the plan has 2 columns, expected num_random_blocks, 3, and at least 1",
        ),
        (
            lambda: make_spec(num_random_blocks=0).check_plan(8, 0, 96),
            "the plan has 0 columns, expected num_random_blocks, 0, and at least 1",
        ),
        (
            lambda: make_spec(num_heads=2).check_plan(9, 3, 96),
            "the plan has 9 rows, expected a multiple of num_heads, 2",
        ),
        (lambda: check_head_dim(80), "head dim is 80, expected one of 32, 64, 128"),
    ],
)
def test_other_shapes_are_refused(check: Callable[[], None], message: str) -> None:
    with pytest.raises(SpecificationError, match=f"^{message}$"):
        check()


def test_kernels_are_there_for_the_head_dims() -> None:
    for head_dim in HEAD_DIMS:
        check_head_dim(head_dim)
    assert pegasus_plugins.__doc__
