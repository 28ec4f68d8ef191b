"""4-bit weights: how close they are, and that ONNX Runtime reads the layout as we write it."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engines.precision.products import Float32, graph_input, initializer, model_of, run
from pegasus_engines.precision.int4 import (
    BLOCK_SIZE,
    Int4Blocks,
    dequantize_blocks,
    quantize_blocks,
)

FINITE = st.floats(-1e6, 1e6, width=32)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 70)), elements=FINITE))
def test_every_weight_is_near_what_is_clipped_at_most(weight: Float32) -> None:
    """By the smallest of the scales that are tried, from 15 / 0.8 to 15, and a step of rounding."""
    blocks = quantize_blocks(weight)
    columns = weight.shape[1]
    steps = np.repeat(blocks.scale, BLOCK_SIZE, axis=1)[:, :columns]
    error = np.abs(weight - dequantize_blocks(blocks, columns=columns)) / steps
    assert error.max() <= 15 / 0.8 - 15 + 1 + 1e-3
    assert (blocks.scale > 0).all()


def test_it_errs_less_than_with_the_scale_that_clips_nothing() -> None:
    weight = np.random.default_rng(0).standard_normal((64, 256), dtype=np.float32)
    blocks = weight.reshape(64, 8, BLOCK_SIZE)
    low, high = (each(blocks, axis=2, keepdims=True) for each in (np.min, np.max))
    scale = (high - low) / 15
    zero = np.rint(-low / scale)
    plain = (np.clip(np.rint(blocks / scale) + zero, 0, 15) - zero) * scale
    got = dequantize_blocks(quantize_blocks(weight), columns=256)
    before = np.square(plain.reshape(weight.shape) - weight).sum()
    assert np.square(got - weight).sum() < 0.95 * before


def test_positive_weights_use_all_steps() -> None:
    weight = np.linspace(0, 3, 32, dtype=np.float32).reshape(1, 32)
    got = dequantize_blocks(quantize_blocks(weight), columns=32)
    assert len(np.unique(got)) == 16
    assert np.abs(got - weight).max() <= 0.1 + 1e-6


def test_rows_of_inputs_make_the_products_closer() -> None:
    draw = np.random.default_rng(0)
    weight = draw.standard_normal((24, 96), dtype=np.float32)
    mixed = draw.standard_normal((16, 96))  # what a network's activations are like: of low rank
    rows, others = ((draw.standard_normal((200, 16)) @ mixed).astype(np.float32) for _ in "ab")

    def error(blocks: Int4Blocks) -> float:
        got = dequantize_blocks(blocks, columns=96)
        return float(np.linalg.norm(others @ (got - weight).T))

    assert error(quantize_blocks(weight, rows)) < 0.6 * error(quantize_blocks(weight))


def test_a_block_of_zeros_stays_zero() -> None:
    blocks = quantize_blocks(np.zeros((2, 40), np.float32))
    assert (dequantize_blocks(blocks, columns=40) == 0).all()
    assert (blocks.scale == 1).all()


@pytest.mark.parametrize("columns", [32, 96, 40])
def test_onnx_runtime_reads_the_layout(columns: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = quantize_blocks(rng.standard_normal((24, columns), dtype=np.float32))
    x = graph_input("x", ir.DataType.FLOAT, ("rows", columns))
    product = ir.node(
        "MatMulNBits",
        [
            x,
            initializer("w", blocks.packed),
            initializer("scale", blocks.scale.reshape(-1)),
            initializer("zero", blocks.zero.reshape(-1)),
        ],
        {"N": 24, "K": columns, "bits": 4, "block_size": BLOCK_SIZE},
        domain="com.microsoft",
    )
    constants = [value for value in product.inputs[1:] if value is not None]
    model = model_of([x], list(product.outputs), [product], constants)
    inputs = rng.standard_normal((5, columns), dtype=np.float32)
    (got,) = run(model, tmp_path, {"x": inputs})
    expected = inputs @ dequantize_blocks(blocks, columns=columns).T
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
