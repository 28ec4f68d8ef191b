"""4-bit weights: how close they are, and that ONNX Runtime reads the layout as we write it."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engines.precision.products import Float32, graph_input, initializer, model_of, run
from pegasus_engines.precision.int4 import BLOCK_SIZE, dequantize_blocks, quantize_blocks

FINITE = st.floats(-1e6, 1e6, width=32)


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 3), st.integers(1, 70)), elements=FINITE))
def test_every_weight_is_within_one_step(weight: Float32) -> None:
    """Half a step, but for values near the other end: -8 to 7 reaches one step less far there."""
    blocks = quantize_blocks(weight)
    columns = weight.shape[1]
    steps = np.repeat(np.abs(blocks.scale), BLOCK_SIZE, axis=1)[:, :columns]
    error = np.abs(weight - dequantize_blocks(blocks, columns=columns)) / steps
    assert error.max() <= 1 + 1e-4


def test_the_largest_value_of_a_block_is_kept() -> None:
    weight = np.linspace(-1, 3, 64, dtype=np.float32).reshape(1, 64)
    got = dequantize_blocks(quantize_blocks(weight), columns=64)
    assert got[0, 63] == pytest.approx(3)
    assert got[0, 0] == pytest.approx(-1)


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
        [x, initializer("w", blocks.packed), initializer("scale", blocks.scale.reshape(-1))],
        {"N": 24, "K": columns, "bits": 4, "block_size": BLOCK_SIZE},
        domain="com.microsoft",
    )
    constants = [value for value in product.inputs[1:] if value is not None]
    model = model_of([x], list(product.outputs), [product], constants)
    inputs = rng.standard_normal((5, columns), dtype=np.float32)
    (got,) = run(model, tmp_path, {"x": inputs})
    expected = inputs @ dequantize_blocks(blocks, columns=columns).T
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
