"""Attributes and inputs as TensorRT tells them: which are taken, and what others are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pegasus_plugins.driver import AttentionShape
from pegasus_plugins.kernel_file import KernelVariant
from pegasus_plugins.operator_inputs import (
    ATTRIBUTES,
    InputTensor,
    check_inputs,
    input_shape,
    spec_from_attributes,
)
from pegasus_plugins.specification import AttentionSpec, SpecificationError

SPEC = AttentionSpec(num_heads=4, block_size=64, num_random_blocks=3, longest_full=704, scale=0.125)
VALUES: dict[str, list[float]] = {
    "num_heads": [4],
    "block_size": [64],
    "num_random_blocks": [3],
    "longest_full": [704],
    "scale": [0.125],
}
HEADS = InputTensor(dtype="float16", shape=(2, 4, 1000, 64))
MASK = InputTensor(dtype="int32", shape=(2, 1000))
PLAN = InputTensor(dtype="int32", shape=(56, 3))
INPUTS = [HEADS, HEADS, HEADS, MASK, PLAN]


def test_all_five_attributes_make_a_specification() -> None:
    assert list(VALUES) == list(ATTRIBUTES)
    assert spec_from_attributes(VALUES) == SPEC


@pytest.mark.parametrize("name", VALUES)
def test_each_attribute_is_required(name: str) -> None:
    values = {k: v for k, v in VALUES.items() if k != name}
    message = (
        rf"^the node lacks {name}: the operator needs num_heads, block_size, num_random_blocks, "
        r"longest_full, scale$"
    )
    with pytest.raises(SpecificationError, match=message):
        spec_from_attributes(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": [1]}, r"^the node has seed, which the operator does not take$"),
        ({"num_heads": [4, 4]}, r"^num_heads is \[4, 4\], expected one int$"),
        ({"longest_full": []}, r"^longest_full is \[\], expected one int$"),
        ({"block_size": [64.5]}, r"^block_size is \[64\.5\], expected one int$"),
        ({"scale": []}, r"^scale is \[\], expected one float$"),
        ({"block_size": [48]}, r"^block_size is 48, expected one of 16, 32, 64, 128$"),
    ],
)
def test_other_attributes_are_refused(values: dict[str, list[float]], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        spec_from_attributes({**VALUES, **values})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_shape_has_what_chooses_the_kernel(dtype: str) -> None:
    heads = replace(HEADS, dtype=dtype)
    variant = KernelVariant(dtype=dtype, head_dim=64, block_size=64, plan_columns=0)
    shape = AttentionShape(variant=variant, batch=2, length=1000)
    assert input_shape(SPEC, [heads, heads, heads, MASK]) == shape
    planned = replace(shape, variant=replace(variant, plan_columns=3), plan_rows=56)
    assert input_shape(SPEC, [heads, heads, heads, MASK, PLAN]) == planned


def test_dimensions_that_are_not_known_yet_are_not_checked() -> None:
    heads = replace(HEADS, shape=(-1, 4, -1, -1))
    inputs = [heads, heads, heads, replace(MASK, shape=(-1, -1)), replace(PLAN, shape=(-1, 3))]
    check_inputs(SPEC, inputs)
    message = r"^query is \[\?, 4, \?, \?\], expected a known shape$"
    with pytest.raises(SpecificationError, match=message):
        input_shape(SPEC, inputs)


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        (0, {"dtype": "INT8"}, r"^query is INT8, expected one of float16, bfloat16, float32$"),
        (0, {"shape": (2, 8, 1000, 64)}, r"^query is \[2, 8, 1000, 64\], expected \[\?, 4, \?, "),
        (0, {"shape": (8, 1000, 64)}, r"^query is \[8, 1000, 64\], expected \[\?, 4, \?, \?\]$"),
        (0, {"shape": (2, 4, 1000, 80)}, r"^head dim is 80, expected one of 32, 64, 128$"),
        (1, {"dtype": "float32"}, r"^key is float32, expected float16$"),
        (2, {"shape": (2, 4, 999, 64)}, r"^value is \[2, 4, 999, 64\], expected \[2, 4, 1000, "),
        (3, {"dtype": "INT64"}, r"^key_mask is INT64, expected int32$"),
        (3, {"shape": (1, 1000)}, r"^key_mask is \[1, 1000\], expected \[2, 1000\]$"),
        (4, {"dtype": "INT64"}, r"^plan is INT64, expected int32$"),
        (4, {"shape": (56, 2)}, r"^plan is \[56, 2\], expected \[\?, 3\]$"),
        (4, {"shape": (52, 3)}, r"^the plan has 13 rows per head, a source of 1000 tokens in "),
    ],
)
def test_inputs_that_the_operator_does_not_take_are_refused(
    index: int, changes: dict[str, Any], message: str
) -> None:
    inputs = list(INPUTS)
    inputs[index] = replace(inputs[index], **changes)
    with pytest.raises(SpecificationError, match=message):
        check_inputs(SPEC, inputs)


@pytest.mark.parametrize("count", [3, 6])
def test_there_are_four_inputs_or_five(count: int) -> None:
    message = rf"^got {count} inputs, expected query, key, value, key_mask, and perhaps plan$"
    with pytest.raises(SpecificationError, match=message):
        check_inputs(SPEC, (INPUTS * 2)[:count])
