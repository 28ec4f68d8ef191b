"""Log-probabilities are those of doubles, and the best of them are NumPy's sorted ones."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.library import Array, Kernels

# V and k: less than a block of 512 columns, whole blocks, and others; k above the number of blocks.
CASES = (
    (1, 1),
    (2, 2),
    (7, 1),
    (40, 16),
    (512, 3),
    (511, 511),
    (1024, 2),
    (1025, 0),
    (1541, 4),
    (5003, 9),
    (5003, 10),
    (5003, 300),
    (3001, 3001),
    (96103, 16),
    (96103, 1000),
)
ROWS = (0, 1, 5)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_best_come_first(kernels: Kernels, case: tuple[int, int], rows: int) -> None:
    columns, count = case
    x = _normal(rows, columns, scale=3)
    log_probs, scores, ids = kernels.log_softmax_top_k(x, count)
    np.testing.assert_allclose(log_probs, _reference(x), rtol=2e-7, atol=5e-7)
    _check_best(log_probs, scores, ids)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 30.0, 1e4])
def test_the_sum_is_as_good_as_floats_are(kernels: Kernels, scale: float) -> None:
    """Half a unit in the last place for each of three roundings."""
    x = _normal(3, 96103, scale=scale)
    log_probs, *_ = kernels.log_softmax_top_k(x, 16)
    expected = _reference(x)
    unit = np.spacing(np.abs(expected).astype(np.float32)) + np.spacing(np.float32(11.5))
    assert (np.abs(log_probs - expected) <= 1.5 * unit).all()


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_a_sum_of_rows_that_are_sorted_is_as_good(kernels: Kernels, order: str) -> None:
    """Ascending, every block has a new largest."""
    x = np.sort(_normal(2, 20011, scale=5))[:, :: -1 if order == "descending" else 1]
    x = np.ascontiguousarray(x)
    log_probs, scores, ids = kernels.log_softmax_top_k(x, 40)
    np.testing.assert_allclose(log_probs, _reference(x), rtol=2e-7, atol=5e-7)
    _check_best(log_probs, scores, ids)


@pytest.mark.parametrize("count", [1, 2, 5, 40, 1600, 3000])
@pytest.mark.parametrize("levels", [1, 2, 7])
def test_of_equal_scores_the_lower_column_is_first(
    kernels: Kernels, count: int, levels: int
) -> None:
    x = np.random.default_rng(5).integers(0, levels, (4, 3000)).astype(np.float32)
    log_probs, scores, ids = kernels.log_softmax_top_k(x, count)
    _check_best(log_probs, scores, ids)


@pytest.mark.parametrize("count", [1, 2, 3, 30])
def test_logits_that_differ_may_be_equal_scores(kernels: Kernels, count: int) -> None:
    """Beside the far larger largest, their last digits are rounded away: the later ones are no
    better than those before them, though their logits are."""
    x = np.arange(3000, dtype=np.float32)[None] * np.float32(1e-6) + 8
    x[0, 1111] = 600
    log_probs, scores, ids = kernels.log_softmax_top_k(x, count)
    assert len(np.unique(log_probs)) < 1000
    assert ids[0].tolist()[:1] == [1111]
    _check_best(log_probs, scores, ids)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.nan])
@pytest.mark.parametrize("column", [0, 4, 600, 1023, 1024, 1539])
def test_a_row_with_nan_or_infinity_is_nan(kernels: Kernels, bad: float, column: int) -> None:
    x = _normal(3, 1540)
    x[1, column] = bad
    x[1, 5:20] = -np.inf
    log_probs, scores, ids = kernels.log_softmax_top_k(x, 4)
    assert np.isnan(log_probs[1]).all()
    assert np.isnan(scores[1]).all()
    assert ids[1].tolist() == [2, 1, 0, 3]  # as ONNX Runtime has it
    for row in (0, 2):
        _check_best(log_probs[row : row + 1], scores[row : row + 1], ids[row : row + 1])


@pytest.mark.parametrize("columns", [1, 40, 1024, 1540])
def test_minus_infinities_are_nan_if_there_is_nothing_else(kernels: Kernels, columns: int) -> None:
    x = np.full((2, columns), -np.inf, np.float32)
    x[1, -1] = -3e38
    log_probs, scores, ids = kernels.log_softmax_top_k(x, columns)
    assert np.isnan(log_probs[0]).all()
    assert np.isnan(scores[0]).all()
    assert sorted(ids[0]) == list(range(columns))
    assert log_probs[1].tolist() == [-np.inf] * (columns - 1) + [0.0]
    assert ids[1].tolist() == [columns - 1, *range(columns - 1)]


@pytest.mark.parametrize("columns", [40, 1540])
def test_the_largest_floats_overflow_nothing(kernels: Kernels, columns: int) -> None:
    largest = np.finfo(np.float32).max
    x = np.full((3, columns), -largest, np.float32)
    x[1, 3] = 0
    x[2, 3] = largest
    log_probs, scores, ids = kernels.log_softmax_top_k(x, 4)
    np.testing.assert_allclose(log_probs[0], -np.log(columns), rtol=1e-6)
    assert ids.tolist() == [[0, 1, 2, 3], [3, 0, 1, 2], [3, 0, 1, 2]]
    assert scores[1].tolist() == [0, -largest, -largest, -largest]
    assert scores[2].tolist() == [0, -np.inf, -np.inf, -np.inf]


def _normal(rows: int, columns: int, scale: float = 1.0) -> Array:
    made = np.random.default_rng(columns).normal(scale=scale, size=(rows, columns))
    return made.astype(np.float32)


def _reference(x: Array) -> Array:
    shifted = x.astype(np.float64) - x.max(-1, keepdims=True, initial=-np.inf)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _check_best(log_probs: Array, scores: Array, ids: Array) -> None:
    expected = np.argsort(-log_probs, axis=-1, kind="stable")[:, : ids.shape[1]]
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(scores, np.take_along_axis(log_probs, expected, axis=-1))
