"""Integers and fp16 scales for TensorRT: how close they are, and what is refused."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engines.precision.products import Float32
from pegasus_engines.precision.symmetric import (
    GROUP_SIZE,
    dequantize,
    half_scale,
    plan_format,
    quantize_channels,
    quantize_groups,
)

FINITE = st.floats(-1e4, 1e4, width=32)


def steps(weight: Float32, scale: np.ndarray) -> np.ndarray:
    """The scale of each weight."""
    wide = scale.astype(np.float32).reshape(len(scale), -1)
    return np.repeat(wide, weight.shape[1] // wide.shape[1], axis=1)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=FINITE))
def test_every_int8_weight_is_within_half_a_step_of_the_scale_that_is_stored(
    weight: Float32,
) -> None:
    matrix = quantize_channels(weight)
    assert np.abs(matrix.values.astype(int)).max() <= 127
    assert matrix.scale.dtype == np.float16
    assert (matrix.scale > 0).all()
    error = np.abs(weight - dequantize(matrix)) / steps(weight, matrix.scale)
    assert error.max() <= 0.5 + 1e-3


def test_int8_uses_the_whole_range() -> None:
    weight = np.random.default_rng(0).standard_normal((200, 64), dtype=np.float32)
    values = quantize_channels(weight).values.astype(int)
    assert (np.abs(values).max(axis=1) == 127).mean() > 0.9  # the others: scales are rounded up
    np.testing.assert_allclose(dequantize(quantize_channels(weight)), weight, atol=0.02)


def test_int8_of_a_small_matrix_is_close_though_its_scales_are_subnormal_in_fp16() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 64), dtype=np.float32) * np.float32(1e-3)
    error = np.linalg.norm(dequantize(quantize_channels(weight)) - weight) / np.linalg.norm(weight)
    assert error < 0.02


def test_scales_are_the_least_that_suffice() -> None:
    largest = np.array([1e-12, 1e-3, 1, 127, 1e4], np.float32)
    scale = half_scale(largest, 127)
    assert (half_scale(np.float32([0, 1e-45]), 127) == 1).all()
    exact = largest / np.float32(127)
    assert (scale.astype(np.float32) >= exact).all()
    below = np.nextafter(scale, np.float16(0)).astype(np.float32)
    assert (below < exact).all()


@given(arrays.arrays(np.float32, (2, 2 * GROUP_SIZE), elements=FINITE))
def test_int4_values_and_scales_are_what_tensorrt_takes(weight: Float32) -> None:
    matrix = quantize_groups(weight)
    assert matrix.values.dtype == ml_dtypes.int4
    assert matrix.scale.shape == (2, 2)
    assert (matrix.scale > 0).all()
    within = np.abs(weight - dequantize(matrix)) / steps(weight, matrix.scale)
    # what is clipped: by the smallest of the scales that are tried, from 7 / 0.8 to 7
    assert within.max() <= 7 / 0.8 - 7 + 1e-2


def test_int4_errs_less_than_with_the_scale_that_clips_nothing() -> None:
    weight = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    groups = weight.reshape(64, 4, GROUP_SIZE)
    scale = np.abs(groups).max(axis=2, keepdims=True) / 7
    plain = (np.rint(groups / scale) * scale).reshape(weight.shape)
    assert np.square(dequantize(quantize_groups(weight)) - weight).sum() < 0.9 * (
        np.square(plain - weight).sum()
    )


def test_zeros_stay_zero() -> None:
    zeros = np.zeros((2, GROUP_SIZE), np.float32)
    for matrix in (quantize_channels(zeros), quantize_groups(zeros)):
        assert (dequantize(matrix) == 0).all()
        assert (matrix.scale == 1).all()


def test_int4_needs_whole_groups_and_int8_takes_their_place() -> None:
    with pytest.raises(ValueError, match=r"^a matrix has 96 columns, int4 needs a multiple of 64"):
        quantize_groups(np.zeros((2, 96), np.float32))
    assert plan_format("int4", 96) == "int8"
    assert plan_format("int4", 128) == "int4"
    assert plan_format("int8", 128) == "int8"
    assert plan_format("fp16", 96) == "fp16"
