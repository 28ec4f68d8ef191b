"""Sums are NumPy's to the bit, and normalised as in float64, whatever their mean and variance."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.library import Array, Kernels

TOLERANCE = 1e-6
"""Of the largest value, or of 1."""
EPSILON = 1e-5
CASES = (
    *((1, 1), (3, 1), (2, 2), (5, 3), (4, 7), (3, 15), (7, 16), (2, 17), (1, 33), (6, 63)),
    *((9, 64), (3, 65), (1, 100), (5, 129), (2, 768), (1, 1024), (64, 1024), (300, 1000)),
)
"""M, D."""
SCALES_AND_MEANS = {
    "of 1": (1, 0),
    "of a large mean": (1, 3000),
    "of a large mean and small variance": (0.01, -3000),
    "large": (1e15, 0),
    "smaller than epsilon": (1e-12, 0),
    "all the same": (0, 3.7),
    "zeros": (0, 0),
}


@pytest.mark.parametrize("kind", SCALES_AND_MEANS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_a_sum_and_its_normalisation(kernels: Kernels, case: tuple[int, int], kind: str) -> None:
    x, y, weight, bias = make(case)
    scale, mean = SCALES_AND_MEANS[kind]
    x, y = (np.float32(scale) * each for each in (x, y))
    check(kernels, x + np.float32(mean), y, weight, bias)


def test_a_value_far_from_all_others_is_no_less_exact(kernels: Kernels) -> None:
    x, y, weight, bias = make((4, 1024))
    x[:, 5] += 3000
    y[:, 1023] -= 1e5
    check(kernels, x, y, weight, bias)


def test_epsilon_is_what_is_given(kernels: Kernels) -> None:
    check(kernels, *make((2, 40)), epsilon=0.5)
    x, y, weight, bias = make((2, 40))
    check(kernels, 1e-3 * x, 1e-3 * y, weight, bias, epsilon=0.0)


def test_a_row_is_the_same_wherever_it_lies(kernels: Kernels) -> None:
    x, y, weight, bias = make((300, 1000))
    totals, outputs = kernels.add_layer_normalization(x, y, weight, bias, EPSILON)
    for row in (0, 37, 299):
        one = np.s_[row : row + 1]
        alone = kernels.add_layer_normalization(x[one], y[one], weight, bias, EPSILON)
        for found, expected in zip(alone, (totals, outputs), strict=True):
            assert np.array_equal(found[0], expected[row])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("columns", [5, 64, 1000])
def test_what_is_not_finite_spoils_its_row_alone(
    kernels: Kernels, columns: int, value: float
) -> None:
    x, y, weight, bias = make((3, columns))
    y[1, columns - 1] = value
    total, output = kernels.add_layer_normalization(x, y, weight, bias, EPSILON)
    assert np.array_equal(total, x + y, equal_nan=True)
    assert np.isnan(output[1]).all()
    assert np.isfinite(output[[0, 2]]).all()


def test_no_rows_give_none(kernels: Kernels) -> None:
    x, y, weight, bias = make((0, 16))
    for found in kernels.add_layer_normalization(x, y, weight, bias, EPSILON):
        assert found.shape == (0, 16)


def make(case: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    """x and y [M, D], weight and bias [D]."""
    generator = np.random.default_rng(0)
    shapes = (case, case, case[1:], case[1:])
    x, y, weight, bias = (generator.standard_normal(shape, np.float32) for shape in shapes)
    return x, y, weight, bias


def check(
    kernels: Kernels, x: Array, y: Array, weight: Array, bias: Array, epsilon: float = EPSILON
) -> None:
    total, output = kernels.add_layer_normalization(x, y, weight, bias, epsilon)
    assert np.array_equal(total, x + y)
    wide = total.astype(np.float64)
    centered = wide - wide.mean(1, keepdims=True)
    deviation = np.sqrt(np.square(centered).mean(1, keepdims=True) + np.float32(epsilon))
    expected = centered / deviation * weight + bias
    assert np.abs(output - expected).max() <= TOLERANCE * max(1, np.abs(expected).max())
