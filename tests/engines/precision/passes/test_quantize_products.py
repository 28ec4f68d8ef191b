"""Products with integers in front of them compute what NumPy says they do."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest

from engines.precision.products import graph_input, initializer, model_of, run
from pegasus_engines.precision.passes.emulate_half import emulate_half
from pegasus_engines.precision.passes.halve_graph import halve_graph
from pegasus_engines.precision.passes.quantize_products import quantize_products
from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_engines.precision.symmetric import (
    Symmetric,
    dequantize,
    input_scale,
    quantize_channels,
    quantize_groups,
)
from pegasus_engines.weights import WeightsFile

LAYER = "model.decoder.layers.0"
MODULES = (*(f"{LAYER}.self_attn.{x}_proj" for x in "qkv"), f"{LAYER}.fc1")
SIZE = 64
LARGEST = {**dict.fromkeys(MODULES[:3], 2.5), MODULES[3]: 20.0}
RNG = np.random.default_rng(0)
WEIGHTS = {name: RNG.standard_normal((SIZE, SIZE), dtype=np.float32) / 8 for name in MODULES}
BIAS = RNG.standard_normal(SIZE, dtype=np.float32).astype(np.float16)
INPUTS = RNG.standard_normal((5, SIZE), dtype=np.float32).astype(np.float16)


def network() -> ir.Model:
    """fc1(q(x) + k(x) + v(x)), in float32; only fc1 has a bias."""
    values = {name: initializer(f"{name}.weight", array) for name, array in WEIGHTS.items()}
    bias = initializer(f"{LAYER}.fc1.bias", BIAS.astype(np.float32))
    x = graph_input("x", ir.DataType.FLOAT, ("rows", SIZE))
    projections = [ir.node("Gemm", [x, values[each]], {"transB": 1}) for each in MODULES[:3]]
    total = ir.node("Sum", [node.outputs[0] for node in projections])
    fc1 = ir.node("Gemm", [total.outputs[0], values[MODULES[3]], bias], {"transB": 1})
    for node in (*projections, total):
        node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    fc1.outputs[0].shape = ir.Shape(("rows", SIZE))
    nodes = [*projections, total, fc1]
    return model_of([x], list(fc1.outputs), nodes, [*values.values(), bias])


def rewritten(
    precision: str, folder: Path, largest: Mapping[str, float] | None, **options: frozenset[str]
) -> tuple[ir.Model, dict[str, Symmetric]]:
    model = network()
    quantize = quantize_groups if precision == "int4" else quantize_channels
    matrices = {name: quantize(array) for name, array in WEIGHTS.items()}
    recipe = PrecisionRecipe(name=precision, target="trt", **options)
    with WeightsFile(folder / "weights.bin") as file:
        for name, matrix in matrices.items():
            file.write([(f"{name}.{precision}", matrix.values), (f"{name}.scale", matrix.scale)])
        assert quantize_products(model, recipe, file.tensors, largest)
        halve_graph(model)
        file.move_in(model)
    return model, matrices


def computed(model: ir.Model, folder: Path) -> npt.NDArray[np.generic]:
    """On the CPU, rounded to fp16 after every operator."""
    ir.save(model, folder / "rewritten.onnx")
    onnx.checker.check_model(str(folder / "rewritten.onnx"), full_check=True)
    assert emulate_half(model)
    (got,) = run(model, folder, {"x": INPUTS})
    return got


def half(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return array.astype(np.float16).astype(np.float32)


def expected(matrices: Mapping[str, Symmetric], *, largest: Mapping[str, float] | None) -> object:
    """The same in NumPy."""

    def product(name: str, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if largest is not None:
            scale = np.float32(input_scale(largest[name]))
            x = half(np.clip(np.rint(x / scale), -128, 127) * scale)
        bias = BIAS.astype(np.float32) if name.endswith("fc1") else np.float32(0)
        return half(x @ half(dequantize(matrices[name])).T + bias)

    x = INPUTS.astype(np.float32)
    total = product(MODULES[0], x) + product(MODULES[1], x) + product(MODULES[2], x)
    return product(MODULES[3], half(total))


@pytest.mark.parametrize(
    ("precision", "largest"), [("int8", LARGEST), ("int8", None), ("int4", None)]
)
def test_the_graph_computes_what_numpy_does(
    precision: str, largest: Mapping[str, float] | None, tmp_path: Path
) -> None:
    model, matrices = rewritten(precision, tmp_path, largest)
    got = computed(model, tmp_path)
    assert got.dtype == np.float16
    # Sums in another order may round to the next fp16 number, and then to the next integer.
    np.testing.assert_allclose(
        got.astype(np.float32), expected(matrices, largest=largest), rtol=1e-2, atol=2e-2
    )


def test_projections_share_their_rounded_input(tmp_path: Path) -> None:
    model, _ = rewritten("int8", tmp_path, LARGEST)
    operators = Counter(node.op_type for node in model.graph)
    assert operators["QuantizeLinear"] == 2
    assert operators["DequantizeLinear"] == 2 + len(MODULES)
    scales = [
        value.const_value.numpy()
        for name, value in model.graph.initializers.items()
        if name.endswith(".scale") and value.const_value is not None and not value.shape
    ]
    assert sorted(map(float, scales)) == sorted(map(float, map(input_scale, (2.5, 20))))


def test_integers_take_the_place_of_weights_and_scales_are_half(tmp_path: Path) -> None:
    model, _ = rewritten("int4", tmp_path, None)
    types = {name: value.dtype for name, value in model.graph.initializers.items()}
    assert not any(name.endswith(".weight") for name in types)
    assert {types[f"{name}.int4"] for name in MODULES} == {ir.DataType.INT4}
    assert {types[f"{name}.scale"] for name in MODULES} == {ir.DataType.FLOAT16}
    packed = model.graph.initializers[f"{MODULES[0]}.int4"].const_value
    assert packed is not None
    assert packed.nbytes == SIZE * SIZE // 2
    np.testing.assert_array_equal(
        packed.numpy().astype(np.int8),
        quantize_groups(WEIGHTS[MODULES[0]]).values.astype(np.int8),
    )


@pytest.mark.parametrize(("precision", "opset"), [("int8", 19), ("int4", 21)])
def test_the_opset_is_the_first_that_has_it_all(precision: str, opset: int, tmp_path: Path) -> None:
    model, _ = rewritten(precision, tmp_path, None)
    assert model.opset_imports[""] == opset
    assert model.ir_version == 10


def test_layers_that_are_kept_read_what_they_did(tmp_path: Path) -> None:
    kept = frozenset({f"{LAYER}.self_attn.qkv_proj"})
    model, _ = rewritten("int8", tmp_path, LARGEST, kept=kept)
    gemms = [node for node in model.graph if node.op_type == "Gemm"]
    assert [node.inputs[0] is model.graph.inputs[0] for node in gemms] == [True] * 3 + [False]
    assert model.graph.initializers[f"{MODULES[0]}.weight"].dtype == ir.DataType.FLOAT16


def test_fp16_changes_nothing_and_says_so() -> None:
    model = network()
    recipe = PrecisionRecipe(name="fp16", target="trt")
    assert not quantize_products(model, recipe, {}, None)
    assert model.opset_imports[""] == 18


def test_a_layer_that_was_not_measured_is_refused(tmp_path: Path) -> None:
    largest = {name: x for name, x in LARGEST.items() if not name.endswith("fc1")}
    with pytest.raises(ValueError, match=rf"^no activations of {LAYER}\.fc1 were measured, expec"):
        rewritten("int8", tmp_path, largest)


def test_a_product_of_another_kind_is_refused() -> None:
    model = network()
    next(node for node in model.graph if node.op_type == "Gemm").attributes.clear()
    with pytest.raises(ValueError, match=r"qkv_proj is read by Gemm .*, expected a Gemm$"):
        quantize_products(model, PrecisionRecipe(name="int8", target="trt"), {}, None)
