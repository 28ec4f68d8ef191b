"""Names of weights, by what they are."""

import pytest

from pegasus_engines.network import is_norm


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.encoder.layer_norm.weight", True),
        ("model.decoder.layers.0.self_attn_layer_norm.weight", True),
        ("model.decoder.layers.11.final_layer_norm.weight", True),
        ("model.decoder.layers.11.final_layer_norm.bias", False),
        ("model.decoder.layers.0.self_attn.out_proj.weight", False),
    ],
)
def test_layer_norms_are_known_by_name(name: str, expected: bool) -> None:
    assert is_norm(name) == expected
