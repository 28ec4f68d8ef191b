"""Graphs respelled for weights of fewer bits compute what the fp32 graph does, nearly."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from engines.precision.products import graph_input, initializer, model_of, run
from pegasus_engines.precision.passes.rewrite_products import rewrite_products
from pegasus_engines.precision.quantize import quantize_weights
from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_engines.weights import WeightsFile
from pegasus_runtime.bundle import Target

ATTENTION = "model.decoder.layers.0.self_attn"
D_MODEL, VOCABULARY = 64, 90
IDS = np.array([[3, 1], [89, 0]])


def weights(*, with_biases: bool = True) -> dict[str, npt.NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    projections = [f"{ATTENTION}.{x}_proj" for x in "qkv"]
    shapes: dict[str, tuple[int, ...]] = {"model.shared.weight": (VOCABULARY, D_MODEL)}
    shapes |= {f"{name}.weight": (D_MODEL, D_MODEL) for name in projections}
    shapes["model.decoder.layers.0.fc1.weight"] = (D_MODEL, D_MODEL)
    if with_biases:
        shapes[f"{ATTENTION}.k_proj.bias"] = (D_MODEL,)
        shapes["model.decoder.layers.0.fc1.bias"] = (D_MODEL,)
        shapes["final_logits_bias"] = (VOCABULARY,)
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def network(arrays: Mapping[str, npt.NDArray[np.float32]]) -> ir.Model:
    """Lookup, three projections of the same input multiplied, fc1, head."""
    values = {name: initializer(name, array) for name, array in arrays.items()}

    def linear(x: ir.Value, module: str, bias: str | None = None) -> ir.Node:
        inputs = [x, values[f"{module}.weight"], values.get(bias or f"{module}.bias")]
        attributes = {"transB": 1, "alpha": 1.0, "beta": 1.0, "transA": 0}
        return ir.node("Gemm", [x for x in inputs if x is not None], attributes)

    ids = graph_input("ids", ir.DataType.INT64, ("rows", 2))
    flat_shape = initializer("flat_shape", np.array([-1, D_MODEL]))
    lookup = ir.node("Gather", [values["model.shared.weight"], ids], {"axis": 0})
    flat = ir.node("Reshape", [lookup.outputs[0], flat_shape])
    projections = [linear(flat.outputs[0], f"{ATTENTION}.{x}_proj") for x in "qkv"]
    query, key, value = (node.outputs[0] for node in projections)
    total = ir.node("Sum", [query, key, value])
    fc1 = linear(total.outputs[0], "model.decoder.layers.0.fc1")
    head = linear(fc1.outputs[0], "model.shared", "final_logits_bias")
    nodes = [lookup, flat, *projections, total, fc1, head]
    return model_of([ids], list(head.outputs), nodes, [flat_shape, *values.values()])


def rewritten(recipe: PrecisionRecipe, folder: Path, *, with_biases: bool = True) -> ir.Model:
    arrays = weights(with_biases=with_biases)
    model = network(arrays)
    with WeightsFile(folder / "weights.bin") as file:
        file.write(quantize_weights(arrays, recipe))
        assert rewrite_products(model, recipe, file.tensors)
        file.move_in(model)
    return model


@pytest.mark.parametrize("with_biases", [True, False])
@pytest.mark.parametrize(
    ("target", "precision", "tolerance"),
    [("ort", "int8", 0.05), ("onnx", "int8", 0.05), ("ort", "int4", 0.25)],
)
def test_the_outputs_are_close_to_those_of_fp32(
    target: Target, precision: str, tolerance: float, with_biases: bool, tmp_path: Path
) -> None:
    recipe = PrecisionRecipe(name=precision, target=target)
    model = rewritten(recipe, tmp_path, with_biases=with_biases)
    (got,) = run(model, tmp_path, {"ids": IDS})
    (expected,) = run(network(weights(with_biases=with_biases)), tmp_path, {"ids": IDS})
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert 0 < error < tolerance


def test_int8_has_one_product_for_the_projections_and_one_copy_of_the_table(
    tmp_path: Path,
) -> None:
    model = rewritten(PrecisionRecipe(name="int8"), tmp_path)
    operators = Counter(node.op_type for node in model.graph)
    assert operators["MatMulIntegerToFloat"] == 2
    assert operators["QGemm"] == operators["Split"] == 1
    assert operators["Gemm"] == 0
    tables = [model.graph.initializers[f"model.shared.int8{x}"].const_value for x in ("", ".head")]
    assert all(isinstance(table, ir.ExternalTensor) for table in tables)
    assert len({table.offset for table in tables if isinstance(table, ir.ExternalTensor)}) == 1
    assert not any(name.endswith("proj.weight") for name in model.graph.initializers)


def test_int8_for_other_runtimes_computes_the_same_in_operators_of_onnx(tmp_path: Path) -> None:
    model = rewritten(PrecisionRecipe(name="int8", target="onnx"), tmp_path)
    assert {node.domain for node in model.graph} == {""}
    operators = Counter(node.op_type for node in model.graph)
    assert (operators["MatMulInteger"], operators["Split"], operators["Gemm"]) == (3, 1, 0)
    (table,) = [
        value.const_value
        for name, value in model.graph.initializers.items()
        if name.startswith("model.shared.int8")
    ]
    assert table is not None
    assert table.shape == ir.Shape([D_MODEL, VOCABULARY])
    (got,) = run(model, tmp_path, {"ids": IDS})
    contrib = rewritten(PrecisionRecipe(name="int8"), _made(tmp_path / "contrib"))
    (expected,) = run(contrib, tmp_path / "contrib", {"ids": IDS})
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-2)  # values of size 10^4


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_int4_has_its_products_and_an_int8_head(tmp_path: Path) -> None:
    model = rewritten(PrecisionRecipe(name="int4"), tmp_path)
    operators = Counter(node.op_type for node in model.graph)
    assert operators["MatMulNBits"] == 2
    assert operators["QGemm"] == 1


def test_layers_that_are_kept_are_left_as_they_are(tmp_path: Path) -> None:
    kept = frozenset({f"{ATTENTION}.qkv_proj", "model.shared"})
    recipe = PrecisionRecipe(name="int8", kept=kept, fuses_projections=False)
    operators = Counter(node.op_type for node in rewritten(recipe, tmp_path).graph)
    assert (operators["Gemm"], operators["MatMulIntegerToFloat"]) == (4, 1)
    assert operators["QGemm"] == operators["Split"] == 0


@pytest.mark.parametrize("with_biases", [True, False])
def test_fp32_projections_become_one_product_that_computes_the_same(
    with_biases: bool, tmp_path: Path
) -> None:
    model = rewritten(PrecisionRecipe(name="fp32"), tmp_path, with_biases=with_biases)
    operators = Counter(node.op_type for node in model.graph)
    assert (operators["Gemm"], operators["Split"]) == (3, 1)
    (got,) = run(model, tmp_path, {"ids": IDS})
    (expected,) = run(network(weights(with_biases=with_biases)), tmp_path, {"ids": IDS})
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-2)  # values of size 10^4


def test_fp32_without_fusing_changes_nothing_and_says_so() -> None:
    model = network(weights())
    before = [node.op_type for node in model.graph]
    recipe = PrecisionRecipe(name="fp32", fuses_projections=False)
    assert not rewrite_products(model, recipe, {})
    assert [node.op_type for node in model.graph] == before


def test_a_product_of_another_kind_is_refused() -> None:
    model = network(weights())
    fc1 = next(
        node
        for node in model.graph
        if "fc1.weight" in str(node.inputs[-2].name)  # type: ignore[union-attr]
    )
    fc1.attributes["transB"] = ir.AttrInt64("transB", 0)
    with pytest.raises(ValueError, match=r"^model.decoder.layers.0.fc1 is read by Gemm .*transB"):
        rewrite_products(
            model,
            PrecisionRecipe(
                name="int8",
                kept=frozenset({"model.shared", f"{ATTENTION}.qkv_proj"}),
                fuses_projections=False,
            ),
            {},
        )
