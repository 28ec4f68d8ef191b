"""What belongs to the residual stream by its name, and what a shift makes of it."""

import numpy as np
import pytest

from pegasus_engines.precision.residual_shift import NO_SHIFT, ResidualShift, writes_residual


@pytest.mark.parametrize(
    ("name", "writes"),
    [
        ("model.encoder.layers.3.self_attn.out_proj.weight", True),
        ("model.decoder.layers.0.encoder_attn.out_proj.bias", True),
        ("model.decoder.layers.0.fc2.weight", True),
        ("model.encoder.embed_positions.weight", True),
        ("model.shared.weight", False),  # it is the head too: the graph scales what it looks up
        ("model.decoder.layers.0.fc1.weight", False),
        ("model.decoder.layers.0.self_attn.v_proj.weight", False),
        ("model.encoder.layers.0.final_layer_norm.weight", False),
        ("classification_head.out_proj.weight", False),
        ("lm_head.weight", False),
    ],
)
def test_what_is_added_to_the_residual_stream_is_known_by_name(name: str, writes: bool) -> None:
    assert writes_residual(name) == writes


def test_a_power_of_two_changes_no_digit() -> None:
    shift = ResidualShift(bits=4)
    array = np.array([0.1, -3.3e4], np.float32)
    np.testing.assert_array_equal(shift.scale_weight("a.fc2.weight", array) * 16, array)
    assert shift.scale_weight("a.fc1.weight", array) is array
    assert shift.scale_embedding(32.0) == 2
    assert shift.scale_epsilon(1e-5) * 2**8 == 1e-5


def test_no_shift_copies_nothing() -> None:
    array = np.ones(2, np.float32)
    assert NO_SHIFT.scale_weight("a.fc2.weight", array) is array
