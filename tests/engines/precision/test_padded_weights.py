"""The padded vocabulary, and padded positions."""

import numpy as np
import pytest

from pegasus_engines.network import FINAL_BIAS
from pegasus_engines.precision.padded_weights import pad_rows, padded_weights

TABLE = "model.shared.weight"


def network(**more: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        TABLE: rng.standard_normal((13, 4), np.float32),
        "model.encoder.embed_positions.weight": np.ones((20, 4), np.float32),
        "model.encoder.layers.0.fc1.weight": np.ones((8, 4), np.float32),
        **more,
    }


def test_tables_are_padded_with_zeros_to_a_multiple_of_eight() -> None:
    weights = network()
    padded = dict(padded_weights(weights, block_size=None))
    assert padded[TABLE].shape == (16, 4)
    np.testing.assert_array_equal(padded[TABLE][:13], weights[TABLE])
    assert not padded[TABLE][13:].any()
    assert padded["model.encoder.layers.0.fc1.weight"].shape == (8, 4)
    assert padded["model.encoder.embed_positions.weight"].shape == (20, 4)


def test_tokens_that_there_are_not_have_no_probability() -> None:
    bias = np.arange(13, dtype=np.float32)[None]
    for given, expected in (({}, np.zeros(13)), ({FINAL_BIAS: bias}, np.arange(13))):
        padded = dict(padded_weights(network(**given), block_size=None))
        np.testing.assert_array_equal(padded[FINAL_BIAS][:13], expected)
        assert (padded[FINAL_BIAS][13:] == np.finfo(np.float32).min).all()


@pytest.mark.parametrize(("block_size", "rows"), [(8, 24), (16, 48), (32, 96), (4, 20)])
def test_positions_of_a_sparse_encoder_are_whole_blocks_three_or_more(
    block_size: int, rows: int
) -> None:
    padded = dict(padded_weights(network(), block_size=block_size))
    assert len(padded["model.encoder.embed_positions.weight"]) == rows


def test_a_matrix_that_is_long_enough_is_the_same_object() -> None:
    matrix = np.ones((8, 2), np.float32)
    assert pad_rows(matrix, 8) is matrix
