"""What conversions store of a network, and what they do to its graphs."""

from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from engines.precision import stream_graphs
from pegasus_engines.network import FINAL_BIAS
from pegasus_engines.precision.convert import (
    ContribConversion,
    Conversion,
    HalfConversion,
    PlanConversion,
)
from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_engines.precision.residual_shift import ResidualShift
from pegasus_engines.precision.symmetric import Symmetric, dequantize
from pegasus_engines.weights import WeightsFile

LAYER = "model.encoder.layers.0"
RNG = np.random.default_rng(0)
WEIGHTS: Mapping[str, npt.NDArray[np.float32]] = {
    name: RNG.standard_normal(shape, dtype=np.float32)
    for name, shape in {
        "model.shared.weight": (50, 64),
        f"{LAYER}.self_attn.k_proj.weight": (64, 64),
        f"{LAYER}.self_attn.v_proj.weight": (64, 64),
        f"{LAYER}.self_attn.q_proj.weight": (64, 64),
        f"{LAYER}.self_attn.q_proj.bias": (64,),
        f"{LAYER}.self_attn_layer_norm.weight": (64,),
        f"{LAYER}.fc1.weight": (96, 64),
        f"{LAYER}.fc2.weight": (64, 96),
        f"{LAYER}.fc2.bias": (64,),
    }.items()
}
SHIFT = 4


def conversion(precision: str) -> PlanConversion:
    recipe = PrecisionRecipe(name=precision, target="trt", residual_shift=ResidualShift(bits=SHIFT))
    return PlanConversion(recipe=recipe, block_size=None)


def restored(stored: Mapping[str, npt.NDArray[np.generic]], module: str) -> object:
    (values,) = (stored[name] for name in stored if name in (f"{module}.int8", f"{module}.int4"))
    scale = stored[f"{module}.scale"].astype(np.float16)
    return dequantize(Symmetric(values=values, scale=scale))


def test_linear_layers_are_int8_and_everything_else_is_fp16() -> None:
    stored = dict(conversion("int8").store(WEIGHTS))
    modules = [f"{LAYER}.self_attn.{x}_proj" for x in "qkv"] + [f"{LAYER}.fc1", f"{LAYER}.fc2"]
    integers = {f"{name}.int8" for name in modules}
    others = set(WEIGHTS) - {f"{name}.weight" for name in modules} | {"final_logits_bias"}
    assert set(stored) == integers | {f"{name}.scale" for name in modules} | others
    assert {stored[name].dtype for name in integers} == {np.dtype(np.int8)}
    assert {stored[name].dtype for name in set(stored) - integers} == {np.dtype(np.float16)}
    fc1 = f"{LAYER}.fc1"
    np.testing.assert_allclose(restored(stored, fc1), WEIGHTS[f"{fc1}.weight"], atol=0.02)


def test_what_writes_the_residual_is_scaled_biases_too() -> None:
    stored = dict(conversion("int8").store(WEIGHTS))
    fc2 = f"{LAYER}.fc2"
    np.testing.assert_allclose(restored(stored, fc2), WEIGHTS[f"{fc2}.weight"] / 16, atol=0.02 / 16)
    np.testing.assert_allclose(
        stored[f"{fc2}.bias"], WEIGHTS[f"{fc2}.bias"] / 16, rtol=1e-3, atol=1e-6
    )


def test_int4_is_int8_where_the_inputs_are_no_whole_groups() -> None:
    stored = dict(conversion("int4").store(WEIGHTS))
    assert stored[f"{LAYER}.fc1.int4"].dtype == ml_dtypes.int4
    assert stored[f"{LAYER}.fc1.scale"].shape == (96, 1)
    assert stored[f"{LAYER}.fc2.int8"].dtype == np.int8
    assert stored[f"{LAYER}.fc2.scale"].shape == (64,)
    assert stored["model.shared.weight"].dtype == np.float16


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int4"])
def test_the_estimate_of_what_is_stored_is_close(precision: str) -> None:
    def size(array: npt.NDArray[np.generic]) -> float:
        return array.size / 2 if array.dtype == ml_dtypes.int4 else array.nbytes

    exact = sum(size(array) for _, array in conversion(precision).store(WEIGHTS))
    assert conversion(precision).stored_bytes(WEIGHTS) == pytest.approx(exact, rel=0.1)


def converted(conversion: Conversion, folder: Path) -> tuple[ir.Model, list[bool]]:
    """A graph that embeds, decides, and adds to its residual stream; what each pass said of it."""
    model = stream_graphs.stream_model()
    with WeightsFile(folder / "weights.bin") as file:
        file.write(conversion.store(stream_graphs.WEIGHTS))
        said = [change({"decoder": model}) for change in conversion.passes(file.tensors)]
    return model, said


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        # shift, inline, take, add the bias, quantise, halve, share
        ("fp32", [False, False, True, True, False, False]),
        ("fp16", [True, False, True, True, False, True, False]),
        ("int8", [True, False, True, True, True, True, False]),
    ],
)
def test_a_plans_passes_say_what_they_changed(
    precision: str, said: list[bool], tmp_path: Path
) -> None:
    shift = ResidualShift(bits=0 if precision == "fp32" else SHIFT)
    recipe = PrecisionRecipe(name=precision, target="trt-rtx", residual_shift=shift)
    model, got = converted(PlanConversion(recipe=recipe, block_size=None), tmp_path)
    assert got == said
    single = precision == "fp32"
    expected = ir.DataType.FLOAT if single else ir.DataType.FLOAT16
    assert {output.dtype for output in model.graph.outputs} == {expected}
    assert model.graph.initializers[FINAL_BIAS].dtype == expected


def test_other_runtimes_get_the_same_graph_in_half_precision(tmp_path: Path) -> None:
    shift = ResidualShift(bits=SHIFT)
    recipe = PrecisionRecipe(name="fp16", target="onnx", residual_shift=shift)
    model, said = converted(HalfConversion(recipe=recipe), tmp_path)
    assert said == [True, True, True]
    before = [node.op_type for node in stream_graphs.stream_model().graph]
    assert [node.op_type for node in model.graph] == before
    assert {output.dtype for output in model.graph.outputs} == {ir.DataType.FLOAT16}


@pytest.mark.parametrize(
    ("precision", "said"),
    # products, then calls: of Int8Linear, attention, norms, the best words, where our runtime runs
    [("fp32", [False] * 5), ("int8", [True, *[False] * 4])],
)
def test_kernels_are_called_in_graphs_of_ours_alone(
    precision: str, said: list[bool], tmp_path: Path
) -> None:
    recipe = PrecisionRecipe(name=precision, target="ort")
    assert converted(ContribConversion(recipe=recipe), tmp_path)[1] == said
