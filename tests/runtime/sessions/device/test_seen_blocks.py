"""Which blocks are seen, as the encoder's inputs."""

import numpy as np
import pytest

from pegasus_runtime.bundle import Architecture
from pegasus_runtime.sessions.device.seen_blocks import see_blocks

LOWEST = np.finfo(np.float32).min


def facts(pattern: str) -> Architecture:
    return Architecture(
        model_type="bigbird_pegasus",
        architecture="BigBirdPegasusForConditionalGeneration",
        vocab_size=100,
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_heads=2,
        decoder_heads=2,
        head_dim=4,
        attention_type="block_sparse",
        block_size=16,
        num_random_blocks=3,
        random_blocks=pattern,
    )


@pytest.mark.parametrize("pattern", ["hf-eval", "seeded"])
def test_short_sources_see_every_block_once(pattern: str) -> None:
    seen = see_blocks(facts(pattern), 4, tokens=60)
    np.testing.assert_array_equal(seen.blocks, [[0, 1, 2, 3]] * 2)
    assert not seen.bias.any()
    assert seen.last_random == [-1]


def test_long_sources_see_five_blocks_and_none_of_them_twice() -> None:
    seen = see_blocks(facts("hf-eval"), 12, tokens=177)
    assert seen.blocks.tolist()[:2] == [[0, 0, 1, 2, 11], [0, 1, 2, 3, 11]]
    assert seen.blocks.tolist()[-1] == [0, 9, 10, 11, 11]
    hidden = np.zeros((10, 5), bool)
    hidden[0, 1] = hidden[-1, 3] = True
    np.testing.assert_array_equal(seen.bias == LOWEST, hidden)
    np.testing.assert_allclose(seen.bias[:, 0], np.log(4), rtol=1e-6)
    assert seen.last_random == [11]


def test_with_a_table_the_first_block_counts_once() -> None:
    seen = see_blocks(facts("seeded"), 12, tokens=177)
    assert not seen.bias[:, 0].any()
    assert seen.blocks.dtype == np.int64
    assert seen.bias.dtype == np.float32
