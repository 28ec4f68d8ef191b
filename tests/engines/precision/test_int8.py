"""8-bit weights: how close they are, and that products with them are exact on every CPU."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engines.precision.products import Float32, graph_input, initializer, model_of, run
from pegasus_engines.precision.int8 import dequantize_rows, quantize_rows

FINITE = st.floats(-1e6, 1e6, width=32)


def pair_sums(values: np.ndarray) -> np.ndarray:
    wide = values.astype(int)
    return wide[:, 0::2][:, : wide.shape[1] // 2] + wide[:, 1::2]


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=FINITE))
def test_neighbours_never_add_up_to_more_than_128(weight: Float32) -> None:
    rows = quantize_rows(weight)
    assert np.abs(rows.values.astype(int)).max() <= 127
    assert np.abs(pair_sums(rows.values)).max(initial=0) <= 128


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=FINITE))
def test_every_weight_is_within_half_a_step(weight: Float32) -> None:
    rows = quantize_rows(weight)
    steps = np.abs(weight - dequantize_rows(rows)) / rows.scale[:, None]
    assert steps.max() <= 0.5 + 1e-4


def test_a_row_of_zeros_stays_zero() -> None:
    rows = quantize_rows(np.zeros((2, 4), np.float32))
    assert (rows.values == 0).all()
    assert (rows.scale == 1).all()


def test_normal_weights_lose_a_third_to_the_bound_and_not_a_half() -> None:
    weight = np.random.default_rng(0).standard_normal((200, 1024), dtype=np.float32)
    coarser = quantize_rows(weight).scale / (np.abs(weight).max(axis=1) / 127)
    assert 1.1 < coarser.mean() < 1.4


def test_more_rows_than_one_chunk_are_all_converted() -> None:
    weight = np.random.default_rng(0).standard_normal((200, 6), dtype=np.float32)
    np.testing.assert_allclose(dequantize_rows(quantize_rows(weight)), weight, atol=0.03)


@pytest.mark.parametrize("num_rows", [1, 2, 8, 17, 64])
def test_a_product_with_the_largest_activations_is_exact(num_rows: int, tmp_path: Path) -> None:
    """Activations of 255 against pairs of 128: what saturates first on a CPU without VNNI."""
    weight = np.tile(np.float32([1, 1.016, -1, -1.016]), (32, 16))  # [N, K] = [32, 64]
    rows = quantize_rows(weight)
    assert np.abs(pair_sums(rows.values)).max() in (127, 128)
    inputs = np.full((num_rows, 64), 2.55, np.float32)
    inputs[:, 2::4] = inputs[:, 3::4] = 0  # or the two signs would cancel
    x = graph_input("x", ir.DataType.FLOAT, ("rows", 64))
    product = ir.node(
        "DynamicQuantizeMatMul",
        [
            x,
            initializer("w", np.ascontiguousarray(rows.values.T)),
            initializer("scale", rows.scale),
        ],
        domain="com.microsoft",
    )
    constants = [value for value in product.inputs[1:] if value is not None]
    model = model_of([x], list(product.outputs), [product], constants)
    (got,) = run(model, tmp_path, {"x": inputs})
    expected = inputs.astype(np.float64) @ dequantize_rows(rows).T
    np.testing.assert_allclose(got, expected, rtol=1e-5)
