"""BigBirdPegasus in torch: its encoder and its plans against transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.graphs import whole
from pegasus_export.models.bigbird_pegasus import checkpoint_name, seeded_blocks
from pegasus_export.models.loading import load_pegasus

TOLERANCE = 2e-5  # of outputs of unit variance
SEQ2SEQ = "BigBirdPegasusForConditionalGeneration"


def write_encoder(folder: Path, **config: Any) -> Path:
    return write_tiny_checkpoint(folder, architecture="BigBirdPegasusModel", **config)


def padded_batch(lengths: list[int], vocab_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    input_ids = torch.randint(2, vocab_size, (len(lengths), max(lengths)))
    mask = torch.ones_like(input_ids)
    for row, length in enumerate(lengths):
        input_ids[row, length:] = 0
        mask[row, length:] = 0
    return input_ids, mask


@torch.no_grad()
def largest_difference(folder: Path, batches: list[list[int]], *, training: bool = False) -> float:
    """Between our encoder and transformers', whose attention is set anew for every batch."""
    oracle = transformers.BigBirdPegasusModel.from_pretrained(folder).get_encoder()
    oracle.train(training)
    pegasus = load_pegasus(open_checkpoint(str(folder)), seeded=training)
    largest = 0.0
    for lengths in batches:
        input_ids, mask = padded_batch(lengths, pegasus.config.vocab_size)
        oracle.set_attention_type("block_sparse")
        expected = oracle(input_ids=input_ids, attention_mask=mask).last_hidden_state
        got = whole.encode(pegasus, input_ids, mask)
        assert 0.5 < expected.std() < 2
        largest = max(largest, float((got - expected).abs().max()))
    return largest


@pytest.mark.parametrize("num_random_blocks", [1, 2, 3])
@pytest.mark.parametrize("block_size", [16, 32])
def test_the_encoder_is_transformers_at_any_length(
    tmp_path: Path, block_size: int, num_random_blocks: int
) -> None:
    threshold = (5 + 2 * num_random_blocks) * block_size
    folder = write_encoder(
        tmp_path,
        block_size=block_size,
        num_random_blocks=num_random_blocks,
        max_position_embeddings=2 * threshold,
    )
    lengths = [1, block_size, threshold - 1, threshold, threshold + 1, 2 * threshold]
    batches = [[length] for length in lengths] + [[threshold + 9, 5, threshold - block_size]]
    assert largest_difference(folder, batches) < TOLERANCE


def test_the_published_shape_of_blocks_is_transformers_up_to_its_last_position(
    tmp_path: Path,
) -> None:
    folder = write_encoder(
        tmp_path, block_size=64, num_random_blocks=3, max_position_embeddings=4096
    )
    batches = [[63], [64], [65], [703], [704], [705], [768], [1000], [1024], [1025], [2048]]
    batches += [[4000], [4096], [900, 1300, 64]]
    assert largest_difference(folder, batches) < TOLERANCE


def test_the_seeded_plan_is_the_one_that_transformers_trains_with(tmp_path: Path) -> None:
    folder = write_encoder(
        tmp_path,
        block_size=64,
        num_random_blocks=3,
        max_position_embeddings=4096,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        encoder_layerdrop=0.0,
    )
    # The lengths for which the original code has a plan of its own, cut from that for 4096.
    batches = [[1024], [3072], [4096], [1024, 700]]
    assert largest_difference(folder, batches, training=True) < TOLERANCE


@pytest.mark.parametrize(("block_size", "max_tokens"), [(64, 4096), (32, 1024), (16, 3072)])
def test_the_plan_is_that_of_the_original_code(block_size: int, max_tokens: int) -> None:
    library: Any = transformers.models.bigbird_pegasus.modeling_bigbird_pegasus
    config = transformers.BigBirdPegasusConfig(
        max_position_embeddings=max_tokens, block_size=block_size
    )
    attention = library.BigBirdPegasusBlockSparseAttention(config, seed=5).train()
    np.random.seed(5)
    expected = [
        attention._bigbird_block_rand_mask(
            max_tokens, max_tokens, block_size, block_size, 3, last_idx=1024
        )
        for _ in range(4)
    ]
    got = seeded_blocks(
        layer=5, num_heads=4, max_tokens=max_tokens, block_size=block_size, num_random_blocks=3
    )
    assert np.array_equal(got, np.stack(expected))


def test_a_plan_needs_enough_blocks() -> None:
    message = "3 random blocks of 64 tokens cannot be drawn from 256 positions"
    with pytest.raises(ValueError, match=message):
        seeded_blocks(layer=0, num_heads=1, max_tokens=256, block_size=64, num_random_blocks=3)


def test_names_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=SEQ2SEQ)
    oracle = transformers.BigBirdPegasusForConditionalGeneration.from_pretrained(folder)
    pegasus = load_pegasus(open_checkpoint(str(folder)))
    names = {checkpoint_name(name) for name in pegasus.state_dict()}
    assert names <= set(oracle.state_dict())
