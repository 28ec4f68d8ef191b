"""Factors that move large activations into weights: who gets them, and what they are."""

import numpy as np
import pytest

from pegasus_engines.precision.equalisation import (
    Equalisation,
    EqualisedWeights,
    find_equalisation,
    find_readers,
)

ENCODER, DECODER = "model.encoder.layers.0", "model.decoder.layers.1"
NORM = f"{ENCODER}.self_attn_layer_norm"
SHAPES = {
    "model.encoder.layer_norm": (4,),
    f"{ENCODER}.self_attn_layer_norm": (4,),
    f"{ENCODER}.self_attn.q_proj": (4, 4),
    f"{ENCODER}.self_attn.k_proj": (4, 4),
    f"{ENCODER}.self_attn.v_proj": (4, 4),
    f"{ENCODER}.self_attn.out_proj": (4, 4),
    f"{ENCODER}.final_layer_norm": (4,),
    f"{ENCODER}.fc1": (6, 4),
    f"{ENCODER}.fc2": (4, 6),
    f"{DECODER}.encoder_attn_layer_norm": (4,),
    f"{DECODER}.encoder_attn.q_proj": (4, 4),
    f"{DECODER}.encoder_attn.k_proj": (4, 4),
    f"{DECODER}.encoder_attn.v_proj": (4, 4),
    f"{DECODER}.encoder_attn.out_proj": (4, 4),
    "model.decoder.layer_norm": (4,),
    "model.shared": (9, 4),
}


def network() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    weights = {f"{name}.weight": draw.normal(size=shape) for name, shape in SHAPES.items()}
    weights |= {f"{name}.bias": draw.normal(size=shape[:1]) for name, shape in SHAPES.items()}
    return {name: array.astype(np.float32) for name, array in weights.items()}


def test_readers_are_the_layers_behind_a_norm_values_and_fc1_but_not_the_head() -> None:
    readers = find_readers(network(), through_activation=True)
    assert readers == {
        "model.encoder.layer_norm": [
            f"{DECODER}.encoder_attn.k_proj",
            f"{DECODER}.encoder_attn.v_proj",
        ],
        NORM: [f"{ENCODER}.self_attn.{x}_proj" for x in "qkv"],
        f"{ENCODER}.self_attn.v_proj": [f"{ENCODER}.self_attn.out_proj"],
        f"{ENCODER}.final_layer_norm": [f"{ENCODER}.fc1"],
        f"{ENCODER}.fc1": [f"{ENCODER}.fc2"],
        f"{DECODER}.encoder_attn_layer_norm": [f"{DECODER}.encoder_attn.q_proj"],
        f"{DECODER}.encoder_attn.v_proj": [f"{DECODER}.encoder_attn.out_proj"],
    }
    del readers[f"{ENCODER}.fc1"]
    assert find_readers(network(), through_activation=False) == readers


def test_factors_are_powers_of_two_whose_median_is_one() -> None:
    found = find_equalisation(network(), {}, through_activation=True)
    for factor in found.divided.values():
        bits = np.log2(factor)
        np.testing.assert_array_equal(bits, np.rint(bits))
        assert abs(np.median(bits)) <= 0.5


@pytest.mark.parametrize("bits", [3, 10, -4])
def test_an_outlier_of_the_weights_is_undone_without_any_document(bits: int) -> None:
    plain, scaled = network(), network()
    for kind in ("weight", "bias"):
        scaled[f"{ENCODER}.fc1.{kind}"][2] *= np.float32(2.0**bits)
    scaled[f"{ENCODER}.fc2.weight"][:, 2] /= np.float32(2.0**bits)
    before = find_equalisation(plain, {}, through_activation=True).divided[f"{ENCODER}.fc1"]
    after = find_equalisation(scaled, {}, through_activation=True).divided[f"{ENCODER}.fc1"]
    assert abs(np.log2(after[2] / before[2]) - bits) <= 1  # the median moved, too


def test_what_others_see_keeps_its_size() -> None:
    own = find_readers(network(), through_activation=True)
    seen = {reader: np.float32([1, 1e4, 1, 1]) for found in own.values() for reader in found[:1]}
    seen[f"{ENCODER}.fc2"] = np.float32([1, 1e4, 1, 1, 1, 1])
    handed_out = {"model.encoder.layer_norm", f"{DECODER}.encoder_attn.v_proj"}
    for states, left_out in ((False, set()), (True, handed_out)):
        found = find_equalisation(network(), seen, through_activation=True, hands_out_states=states)
        assert found.divided.keys() == own.keys() - left_out


def test_what_was_seen_counts_where_it_is_more() -> None:
    seen = {f"{ENCODER}.self_attn.k_proj": np.float32([0, 1e4, 0, 0])}
    plain = find_equalisation(network(), {}, through_activation=True).divided.get(NORM, np.ones(4))
    found = find_equalisation(network(), seen, through_activation=True)
    assert found.divided[NORM][1] > 16 * plain[1]


def test_norms_that_the_same_layers_read_have_the_same_factors() -> None:
    """As in PEGASUS-X, of its tokens and its global tokens; the larger of both counts."""
    weights, norm = network(), f"{ENCODER}.global_self_attn_layer_norm"
    plain = find_equalisation(weights, {}, through_activation=True).divided.get(NORM, np.ones(4))
    weights |= {f"{norm}.{kind}": weights[f"{NORM}.{kind}"].copy() for kind in ("weight", "bias")}
    weights[f"{norm}.weight"][1] *= 1e4
    found = find_equalisation(weights, {}, through_activation=True).divided
    np.testing.assert_array_equal(found[norm], found[NORM])
    assert found[NORM][1] > 16 * plain[1]


def test_the_function_is_the_same_to_the_bit() -> None:
    plain = network()
    found = find_equalisation(plain, {}, through_activation=True)
    assert any((factor != 1).any() for factor in found.divided.values())
    equal = EqualisedWeights(weights=plain, equalisation=found)
    assert list(equal) == list(plain)
    assert len(equal) == len(plain)
    rows = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    for norm in (NORM, f"{ENCODER}.final_layer_norm"):
        for reader in find_readers(plain, through_activation=True)[norm]:
            outputs = [
                (rows * weights[f"{norm}.weight"] + weights[f"{norm}.bias"])
                @ weights[f"{reader}.weight"].T
                for weights in (plain, equal)
            ]
            factor = found.divided.get(reader, np.ones(1, np.float32))
            np.testing.assert_array_equal(outputs[0], outputs[1] * factor)


def test_weights_without_factors_are_the_very_same() -> None:
    plain = network()
    equal = EqualisedWeights(weights=plain, equalisation=Equalisation())
    assert all(equal[name] is plain[name] for name in plain)
    found = find_equalisation(plain, {}, through_activation=True)
    for name in ("model.shared.weight", "model.decoder.layer_norm.bias", f"{ENCODER}.fc2.bias"):
        assert found.apply(name, plain[name]) is plain[name]
    assert Equalisation().channels == Equalisation().largest_bits == 0
    assert found.channels > 0
    assert found.largest_bits >= 1


def test_channels_that_are_always_zero_keep_their_size() -> None:
    plain = network()
    for kind in ("weight", "bias"):
        plain[f"{NORM}.{kind}"][:] = 0
    found = find_equalisation(plain, {}, through_activation=True)
    assert NORM not in found.divided
