"""Factors that move large activations into weights: who gets them, and what they are."""

import numpy as np
import pytest

from pegasus_engines.precision.smoothing import find_readers, find_smoothing

ENCODER, DECODER = "model.encoder.layers.0", "model.decoder.layers.1"
WEIGHTS = {
    f"{name}.weight": np.full(shape, value, np.float32)
    for name, shape, value in (
        ("model.encoder.layer_norm", (2,), 1),
        (f"{ENCODER}.self_attn_layer_norm", (2,), 1),
        (f"{ENCODER}.self_attn.q_proj", (3, 2), 0.5),
        (f"{ENCODER}.self_attn.k_proj", (3, 2), -2),
        (f"{ENCODER}.self_attn.v_proj", (3, 2), 1),
        (f"{ENCODER}.self_attn.out_proj", (2, 3), 1),
        (f"{ENCODER}.final_layer_norm", (2,), 1),
        (f"{ENCODER}.fc1", (4, 2), 0),
        (f"{ENCODER}.fc2", (2, 4), 1),
        (f"{DECODER}.encoder_attn_layer_norm", (2,), 1),
        (f"{DECODER}.encoder_attn.q_proj", (3, 2), 1),
        (f"{DECODER}.encoder_attn.k_proj", (3, 2), 1),
        (f"{DECODER}.encoder_attn.v_proj", (3, 2), 4),
        ("model.decoder.layer_norm", (2,), 1),
    )
}
LARGEST = {
    name.removesuffix(".weight"): np.array([8, 0], np.float32)
    for name in WEIGHTS
    if "proj" in name or ".fc" in name
}


def test_readers_are_the_layers_behind_a_layer_norm_but_not_the_head() -> None:
    assert find_readers(WEIGHTS) == {
        "model.encoder.layer_norm": [
            f"{DECODER}.encoder_attn.k_proj",
            f"{DECODER}.encoder_attn.v_proj",
        ],
        f"{ENCODER}.self_attn_layer_norm": [f"{ENCODER}.self_attn.{x}_proj" for x in "qkv"],
        f"{ENCODER}.final_layer_norm": [f"{ENCODER}.fc1"],
        f"{DECODER}.encoder_attn_layer_norm": [f"{DECODER}.encoder_attn.q_proj"],
    }


def test_factors_make_activations_and_weights_equally_large() -> None:
    smoothing = find_smoothing(WEIGHTS, LARGEST)
    # of the largest of the three projections, 2; and 1 where a channel is always zero
    np.testing.assert_array_equal(
        smoothing.divided[f"{ENCODER}.self_attn_layer_norm"], np.float32([2, 1])
    )
    key = f"{ENCODER}.self_attn.k_proj"
    assert smoothing.largest[key] == 8 / 2
    assert np.abs(smoothing.apply(f"{key}.weight", WEIGHTS[f"{key}.weight"])).max() == 2 * 2


def test_norms_are_divided_biases_too_and_only_columns_of_readers_multiplied() -> None:
    smoothing = find_smoothing(WEIGHTS, LARGEST)
    norm = f"{ENCODER}.self_attn_layer_norm"
    for kind in ("weight", "bias"):
        got = smoothing.apply(f"{norm}.{kind}", np.float32([3, 5]))
        np.testing.assert_array_equal(got, np.float32([1.5, 5]))
    bias = np.float32([1, 2, 3])
    assert smoothing.apply(f"{ENCODER}.self_attn.k_proj.bias", bias) is bias
    for name in (f"{ENCODER}.fc2.weight", f"{ENCODER}.fc1.weight", "model.decoder.layer_norm.bias"):
        given = np.full((2, 2), 7, np.float32)
        np.testing.assert_array_equal(smoothing.apply(name, given), given)


def test_other_layers_keep_what_they_read() -> None:
    smoothing = find_smoothing(WEIGHTS, LARGEST)
    assert smoothing.largest[f"{ENCODER}.fc2"] == 8
    assert set(smoothing.largest) == set(LARGEST)


@pytest.mark.parametrize("missing", ["q", "v"])
def test_norms_whose_readers_were_not_all_measured_are_left_alone(missing: str) -> None:
    largest = {name: x for name, x in LARGEST.items() if not name.endswith(f"n.{missing}_proj")}
    assert f"{ENCODER}.self_attn_layer_norm" not in find_smoothing(WEIGHTS, largest).divided
