"""Which layers there are, and which format each gets."""

import pytest

from pegasus_engines.precision.recipe import PrecisionRecipe, find_layers, match_layers
from pegasus_engines.precision.residual_shift import ResidualShift
from pegasus_runtime.bundle import Target

ATTENTION = "model.decoder.layers.0.self_attn"
WEIGHTS = (
    "model.shared.weight",
    "model.encoder.embed_positions.weight",
    f"{ATTENTION}.k_proj.weight",
    f"{ATTENTION}.v_proj.weight",
    f"{ATTENTION}.v_proj.bias",
    f"{ATTENTION}.q_proj.weight",
    f"{ATTENTION}.out_proj.weight",
    "model.decoder.layers.0.self_attn_layer_norm.weight",
    "model.decoder.layers.0.encoder_attn.k_proj.weight",
    "model.decoder.layers.0.fc1.weight",
    "final_logits_bias",
)


def test_the_projections_of_a_self_attention_are_one_layer() -> None:
    layers = {layer.name: layer for layer in find_layers(WEIGHTS)}
    assert list(layers) == [
        "model.shared",
        f"{ATTENTION}.qkv_proj",
        f"{ATTENTION}.out_proj",
        "model.decoder.layers.0.encoder_attn.k_proj",
        "model.decoder.layers.0.fc1",
    ]
    fused = layers[f"{ATTENTION}.qkv_proj"]
    assert fused.weights == tuple(f"{ATTENTION}.{x}_proj.weight" for x in "qkv")
    assert [layer.name for layer in layers.values() if layer.is_table] == ["model.shared"]


@pytest.mark.parametrize(
    ("precision", "linear", "table"),
    [("fp32", "fp32", "fp32"), ("int8", "int8", "int8"), ("int4", "int4", "int8")],
)
def test_a_precision_decides_on_layers_and_tables(precision: str, linear: str, table: str) -> None:
    recipe = PrecisionRecipe(name=precision)
    assert {recipe.format_of(layer) for layer in find_layers(WEIGHTS)} == {linear, table}


def test_layers_that_are_kept_stay_fp32_and_are_listed() -> None:
    recipe = PrecisionRecipe(name="int8", kept=frozenset({"model.decoder.layers.0.fc1"}))
    formats = {layer.name: recipe.format_of(layer) for layer in find_layers(WEIGHTS)}
    assert [name for name, each in formats.items() if each == "fp32"] == list(recipe.kept)
    assert recipe.describe()["kept_fp32"] == ["model.decoder.layers.0.fc1"]
    assert PrecisionRecipe(name="fp32").describe() == {}


def test_layers_are_raised_from_4_bits_to_8_and_on_to_fp32() -> None:
    layers = [layer for layer in find_layers(WEIGHTS) if not layer.is_table][:2]
    recipe = PrecisionRecipe(name="int4").raise_formats(layers[:1])
    assert recipe.format_of(layers[0]) == "int8"
    assert recipe.describe()["raised_int8"] == [layers[0].name]
    recipe = recipe.raise_formats(layers)
    assert [recipe.format_of(layer) for layer in layers] == ["fp32", "int8"]
    assert recipe.describe()["kept_fp32"] == [layers[0].name]
    assert recipe.describe()["raised_int8"] == [layers[1].name]
    on_device = PrecisionRecipe(name="int8", target="trt").raise_formats(layers)
    assert {on_device.format_of(layer) for layer in layers} == {"fp16"}


@pytest.mark.parametrize(
    ("target", "precision", "linear", "is_half", "measures"),
    [
        ("trt", "fp32", "fp32", False, False),
        ("trt", "fp16", "fp16", True, False),
        ("trt", "int8", "int8", True, True),
        ("trt", "int4", "int4", True, False),
        ("trt-rtx", "int8", "int8", True, False),
        ("trt-rtx", "int4", "int4", True, False),
        ("ort", "fp16", "fp16", True, False),
        ("ort", "int8", "int8", False, False),
    ],
)
def test_a_target_decides_on_the_rest(
    target: Target, precision: str, linear: str, is_half: bool, measures: bool
) -> None:
    recipe = PrecisionRecipe(name=precision, target=target)
    formats = {layer.is_table: recipe.format_of(layer) for layer in find_layers(WEIGHTS)}
    assert formats[False] == linear
    assert formats[True] == ("fp16" if is_half else linear)
    assert (recipe.is_half, recipe.measures_activations) == (is_half, measures)


def test_plans_keep_layers_in_fp16_and_say_what_activations_are() -> None:
    kept = frozenset({"model.decoder.layers.0.fc1"})
    described = {}
    for target, precision in (("trt", "int8"), ("trt-rtx", "int8"), ("trt-rtx", "int4")):
        recipe = PrecisionRecipe(
            name=precision, target=target, kept=kept, residual_shift=ResidualShift(bits=5)
        )
        formats = {layer.name: recipe.format_of(layer) for layer in find_layers(WEIGHTS)}
        assert [name for name, each in formats.items() if each == "fp16"][1:] == list(kept)
        described[target, precision] = recipe.describe()
        assert described[target, precision]["kept_fp16"] == list(kept)
        assert described[target, precision]["residual_shift"] == 5
    assert "activations 8 bits" in str(described["trt", "int8"]["linear"])
    assert "activations fp16" in str(described["trt-rtx", "int8"]["linear"])
    assert "int8 where inputs are no multiple of 64" in str(described["trt-rtx", "int4"]["linear"])


def test_patterns_select_layers_by_name() -> None:
    layers = find_layers(WEIGHTS)
    assert match_layers(layers, []) == frozenset()
    assert match_layers(layers, ["*.self_attn.*", "model.shared"]) == {
        "model.shared",
        f"{ATTENTION}.qkv_proj",
        f"{ATTENTION}.out_proj",
    }


def test_a_pattern_without_a_layer_is_refused_with_names_that_exist() -> None:
    expected = r"^no layer is called '\*.q_proj', expected names such as model.decoder"
    with pytest.raises(ValueError, match=expected):
        match_layers(find_layers(WEIGHTS), ["*.q_proj"])
