"""Rounding that makes good what it did: optimal brain quantisation, as it is written down."""

import numpy as np
import numpy.typing as npt
import pytest

from pegasus_engines.precision.compensated import Grid, Rounded, round_compensated

Float32 = npt.NDArray[np.float32]
SIZE = 8


def fit(group: Float32, importance: Float32) -> tuple[Float32, Float32]:
    scale = np.abs(group).max(axis=0) / np.float32(7)
    return scale, np.zeros_like(scale)


GRID = Grid(low=-8, high=7, fit=fit)


def data(rows: int) -> tuple[Float32, Float32]:
    draw = np.random.default_rng(0)
    weight = draw.standard_normal((5, 4 * SIZE))
    inputs = draw.standard_normal((rows, 4 * SIZE)) @ draw.standard_normal((4 * SIZE, 4 * SIZE))
    return weight.astype(np.float32), inputs.astype(np.float32)


def restored(found: Rounded) -> Float32:
    scale, zero = (np.repeat(each, SIZE, axis=1) for each in (found.scale, found.zero))
    matrix: Float32 = (found.values - zero) * scale
    return matrix


def written_down(weight: Float32, rows: Float32) -> npt.NDArray[np.float64]:
    """GPTQ with the whole inverse of the Hessian, in float64, an input after the other."""
    hessian = rows.astype(np.float64).T @ rows
    hessian += 0.2 * np.mean(np.diag(hessian)) * np.eye(len(hessian))
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).T
    left, found = weight.astype(np.float64), np.empty(weight.shape)
    for start in range(0, weight.shape[1], SIZE):
        scale = np.abs(left[:, start : start + SIZE]).max(axis=1) / 7
        for index in range(start, start + SIZE):
            found[:, index] = np.clip(np.rint(left[:, index] / scale), -8, 7) * scale
            error = (left[:, index] - found[:, index]) / factor[index, index]
            left[:, index + 1 :] -= np.outer(error, factor[index, index + 1 :])
    return found


@pytest.mark.parametrize("rows", [1, 6, 24, 100])
def test_it_is_optimal_brain_quantisation(rows: int) -> None:
    weight, inputs = data(rows)
    got = restored(round_compensated(weight, inputs, grid=GRID, size=SIZE))
    np.testing.assert_allclose(got, written_down(weight, inputs), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("rows", [None, np.zeros((3, 4 * SIZE), np.float32)])
def test_without_rows_each_weight_is_rounded_by_itself(rows: Float32 | None) -> None:
    weight, _ = data(1)
    got = round_compensated(weight, rows, grid=GRID, size=SIZE)
    groups = weight.reshape(5, 4, SIZE)
    scale = np.abs(groups).max(axis=2) / 7
    np.testing.assert_allclose(got.scale, scale, rtol=1e-6)
    expected = np.rint(groups / scale[..., None]).reshape(weight.shape)
    np.testing.assert_array_equal(got.values, expected)
    assert (got.zero == 0).all()


def test_outputs_are_closer_than_without() -> None:
    weight, inputs = data(24)
    errors = []
    for rows in (inputs, None):
        found = restored(round_compensated(weight, rows, grid=GRID, size=SIZE))
        errors.append(np.linalg.norm(inputs @ (found - weight).T))
    assert errors[0] < 0.75 * errors[1]


def test_inputs_are_left_as_they_are() -> None:
    weight, inputs = data(6)
    before = weight.copy(), inputs.copy()
    round_compensated(weight, inputs, grid=GRID, size=SIZE)
    np.testing.assert_array_equal(weight, before[0])
    np.testing.assert_array_equal(inputs, before[1])
