"""What a recipe stores."""

import numpy as np
import onnx_ir as ir
import pytest

from pegasus_engines.precision.int8 import quantize_rows
from pegasus_engines.precision.quantize import quantize_weights, stored_bytes
from pegasus_engines.precision.recipe import PrecisionRecipe, find_layers
from pegasus_engines.precision.restore import restore_matrix

ATTENTION = "model.decoder.layers.0.self_attn"
RNG = np.random.default_rng(0)
WEIGHTS = {
    name: RNG.standard_normal(shape, dtype=np.float32)
    for name, shape in {
        "model.shared.weight": (50, 64),
        f"{ATTENTION}.k_proj.weight": (64, 64),
        f"{ATTENTION}.v_proj.weight": (64, 64),
        f"{ATTENTION}.v_proj.bias": (64,),
        f"{ATTENTION}.q_proj.weight": (64, 64),
        "model.decoder.layers.0.fc1.weight": (128, 64),
        "model.decoder.layer_norm.weight": (64,),
    }.items()
}


def test_int8_stores_columns_with_their_scale_and_one_bias_for_all_three_projections() -> None:
    stored = dict(quantize_weights(WEIGHTS, PrecisionRecipe(name="int8")))
    assert {name: (array.shape, array.dtype.name) for name, array in stored.items()} == {
        "model.shared.int8": ((50, 64), "int8"),
        "model.shared.scale": ((50, 1), "float32"),
        "model.shared.zero": ((50,), "int8"),
        f"{ATTENTION}.qkv_proj.int8": ((64, 192), "int8"),
        f"{ATTENTION}.qkv_proj.scale": ((192,), "float32"),
        f"{ATTENTION}.qkv_proj.bias": ((192,), "float32"),
        "model.decoder.layers.0.fc1.int8": ((64, 128), "int8"),
        "model.decoder.layers.0.fc1.scale": ((128,), "float32"),
        "model.decoder.layer_norm.weight": ((64,), "float32"),
    }
    bias = stored[f"{ATTENTION}.qkv_proj.bias"]
    np.testing.assert_array_equal(bias[128:], WEIGHTS[f"{ATTENTION}.v_proj.bias"])
    assert not bias[:128].any()
    value_columns = stored[f"{ATTENTION}.qkv_proj.int8"][:, 128:]
    expected = quantize_rows(WEIGHTS[f"{ATTENTION}.v_proj.weight"]).values
    np.testing.assert_array_equal(value_columns, expected.T)


def test_a_table_for_other_runtimes_lies_as_the_head_reads_it() -> None:
    stored = dict(quantize_weights(WEIGHTS, PrecisionRecipe(name="int8", target="onnx")))
    ours = dict(quantize_weights(WEIGHTS, PrecisionRecipe(name="int8")))
    np.testing.assert_array_equal(stored["model.shared.int8"], ours["model.shared.int8"].T)
    assert ours.keys() - stored.keys() == {"model.shared.zero"}
    (table,) = (each for each in find_layers(WEIGHTS) if each.is_table)
    for each in (stored, ours):
        tensors = {name: ir.tensor(array) for name, array in each.items()}
        restored = restore_matrix(table, tensors, columns=64)
        assert restored is not None
        np.testing.assert_allclose(restored, WEIGHTS["model.shared.weight"], atol=0.05)


def test_int4_stores_blocks_and_keeps_eight_bits_for_the_table() -> None:
    stored = dict(quantize_weights(WEIGHTS, PrecisionRecipe(name="int4")))
    assert stored[f"{ATTENTION}.qkv_proj.int4"].shape == (192, 2, 16)
    assert stored[f"{ATTENTION}.qkv_proj.scale"].shape == (192 * 2,)
    assert stored["model.shared.int8"].shape == (50, 64)


def test_layers_that_are_kept_keep_their_name_and_bias() -> None:
    kept = frozenset({f"{ATTENTION}.qkv_proj", "model.shared"})
    recipe = PrecisionRecipe(name="int8", kept=kept, fuses_projections=False)
    stored = dict(quantize_weights(WEIGHTS, recipe))
    changed = {"model.decoder.layers.0.fc1.int8", "model.decoder.layers.0.fc1.scale"}
    assert set(stored) == set(WEIGHTS) - {"model.decoder.layers.0.fc1.weight"} | changed


def test_fp32_stores_the_weights_as_they_are_but_projections_as_one() -> None:
    recipe = PrecisionRecipe(name="fp32", fuses_projections=False)
    assert dict(quantize_weights(WEIGHTS, recipe)) == WEIGHTS
    fused = dict(quantize_weights(WEIGHTS, PrecisionRecipe(name="fp32")))
    rows = fused.pop(f"{ATTENTION}.qkv_proj.weight")
    for index, name in enumerate("qkv"):
        expected = WEIGHTS[f"{ATTENTION}.{name}_proj.weight"]
        np.testing.assert_array_equal(rows[64 * index : 64 * (index + 1)], expected)
    assert fused.pop(f"{ATTENTION}.qkv_proj.bias").shape == (192,)
    assert fused == {name: WEIGHTS[name] for name in WEIGHTS if ATTENTION not in name}


@pytest.mark.parametrize("precision", ["fp32", "int8", "int4"])
def test_the_estimate_of_what_is_stored_is_close(precision: str) -> None:
    recipe = PrecisionRecipe(name=precision)
    exact = sum(array.nbytes for _, array in quantize_weights(WEIGHTS, recipe))
    assert stored_bytes(WEIGHTS, recipe) == pytest.approx(exact, rel=0.1)


def test_layers_of_the_same_format_are_taken_from_what_was_stored_before() -> None:
    before = dict(quantize_weights(WEIGHTS, PrecisionRecipe(name="int4")))
    recipe = PrecisionRecipe(name="int4", raised=frozenset({"model.decoder.layers.0.fc1"}))
    again = dict(quantize_weights(WEIGHTS, recipe, before=before))
    expected = dict(quantize_weights(WEIGHTS, recipe))
    assert again.keys() == expected.keys()
    for name, array in again.items():
        np.testing.assert_array_equal(array, expected[name])
    same = [name for name in again if name in before and ".fc1." not in name]
    assert f"{ATTENTION}.qkv_proj.int4" in same
    assert all(again[name] is before[name] for name in same)
    assert "model.decoder.layers.0.fc1.int8" in again
