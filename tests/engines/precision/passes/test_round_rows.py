"""Rows rounded to 8 bits: each by itself, whatever else is there."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from engines.precision.products import Float32, graph_input, initializer, model_of, run
from pegasus_engines.precision.passes.rewrite_products import rewrite_products
from pegasus_engines.precision.quantize import quantize_weights
from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_engines.weights import WeightsFile

LAYER, K, N = "model.decoder.layers.0.fc2", 64, 32


def product(folder: Path, *, behind_relu: bool) -> ir.Model:
    """One int8 product, of the input or of its ReLU."""
    draw = np.random.default_rng(0)
    arrays = {
        f"{LAYER}.weight": draw.standard_normal((N, K), dtype=np.float32),
        f"{LAYER}.bias": draw.standard_normal(N, dtype=np.float32),
    }
    x = graph_input("x", ir.DataType.FLOAT, ("rows", K))
    relu = ir.node("Relu", [x])
    read = relu.outputs[0] if behind_relu else x
    constants = [initializer(name, array) for name, array in arrays.items()]
    gemm = ir.node("Gemm", [read, *constants], {"transB": 1})
    nodes = [relu, gemm] if behind_relu else [gemm]
    model = model_of([x], list(gemm.outputs), nodes, constants)
    recipe = PrecisionRecipe(name="int8")
    with WeightsFile(folder / "weights.bin") as file:
        file.write(quantize_weights(arrays, recipe))
        assert rewrite_products(model, recipe, file.tensors)
        file.move_in(model)
    return model


def rows(count: int) -> Float32:
    return np.random.default_rng(1).standard_normal((count, K), dtype=np.float32)


@pytest.mark.parametrize("behind_relu", [True, False])
@pytest.mark.parametrize("count", [1, 3, 8, 70])
def test_a_row_is_the_same_to_the_bit_whatever_is_beside_it(
    tmp_path: Path, behind_relu: bool, count: int
) -> None:
    model = product(tmp_path, behind_relu=behind_relu)
    alone, others = rows(1), 1000 * rows(count)
    (expected,) = run(model, tmp_path, {"x": alone})
    (got,) = run(model, tmp_path, {"x": np.concatenate([others, alone])})
    np.testing.assert_array_equal(got[-1:], expected)


def test_a_row_of_zeros_gives_the_bias(tmp_path: Path) -> None:
    model = product(tmp_path, behind_relu=False)
    zeros = np.zeros((1, K), np.float32)
    (got,) = run(model, tmp_path, {"x": np.concatenate([rows(2), zeros])})
    bias = np.random.default_rng(0)
    bias.standard_normal((N, K), dtype=np.float32)
    np.testing.assert_array_equal(got[-1], bias.standard_normal(N, dtype=np.float32))


def test_behind_a_relu_all_steps_are_used(tmp_path: Path) -> None:
    model = product(tmp_path, behind_relu=True)
    steps = {
        float(value.const_value.numpy())
        for name, value in model.graph.initializers.items()
        if name.startswith("row_step") and value.const_value is not None
    }
    assert steps == {float(np.float32(1 / 255))}
    operators = Counter(node.op_type for node in model.graph)
    assert operators["Abs"] == 0
    assert operators["ReduceMax"] == operators["QuantizeLinear"] == 1


def test_products_that_read_the_same_share_what_is_rounded(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    names = [f"model.decoder.layers.{layer}.encoder_attn.k_proj" for layer in (0, 1)]
    arrays = {f"{x}.weight": draw.standard_normal((N, K), dtype=np.float32) for x in names}
    x = graph_input("x", ir.DataType.FLOAT, ("rows", K))
    constants = [initializer(name, array) for name, array in arrays.items()]
    gemms = [ir.node("Gemm", [x, each], {"transB": 1}) for each in constants]
    model = model_of([x], [gemm.outputs[0] for gemm in gemms], gemms, constants)
    with WeightsFile(tmp_path / "weights.bin") as file:
        file.write(quantize_weights(arrays, PrecisionRecipe(name="int8")))
        assert rewrite_products(model, PrecisionRecipe(name="int8"), file.tensors)
    operators = Counter(node.op_type for node in model.graph)
    assert operators["QuantizeLinear"] == 1
    assert operators["MatMulIntegerToFloat"] == 2
