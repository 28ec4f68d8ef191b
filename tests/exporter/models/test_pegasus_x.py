"""PEGASUS-X in torch: its encoder, its positions and its weights against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models.pegasus_x.modeling_pegasus_x import (
    PegasusXSinusoidalPositionalEmbedding,
)

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.graphs import whole
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus_x import exponential_positions

TOLERANCE = 2e-5  # of outputs of unit variance
MODEL = "PegasusXModel"
SEQ2SEQ = "PegasusXForConditionalGeneration"


def padded_batch(lengths: list[int], vocab_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    input_ids = torch.randint(2, vocab_size, (len(lengths), max(lengths)))
    mask = torch.ones_like(input_ids)
    for row, length in enumerate(lengths):
        input_ids[row, length:] = 0
        mask[row, length:] = 0
    return input_ids, mask


@torch.no_grad()
def largest_difference(folder: Path, batches: list[list[int]]) -> float:
    """Between our encoder and transformers', at padding too: both attend from it."""
    oracle = transformers.PegasusXModel.from_pretrained(folder).get_encoder()
    pegasus = load_pegasus(open_checkpoint(str(folder)))
    largest = 0.0
    for lengths in batches:
        input_ids, mask = padded_batch(lengths, pegasus.config.vocab_size)
        expected = oracle(input_ids=input_ids, attention_mask=mask).last_hidden_state
        got = whole.encode(pegasus, input_ids, mask)
        assert 0.5 < expected.std() < 2
        largest = max(largest, float((got - expected).abs().max()))
    return largest


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"block_size": 2, "num_global_tokens": 1, "encoder_layers": 4},
        {"block_size": 6, "stagger_local_blocks": False},
        {"block_size": 7, "stagger_local_blocks": False},
        {"num_global_tokens": 40},
        {"encoder_attention_heads": 4, "scale_embedding": False, "activation_function": "gelu"},
    ],
    ids=lambda config: "-".join(f"{name}-{value}" for name, value in config.items()) or "usual",
)
def test_the_encoder_is_transformers_at_any_length(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=MODEL, **config)
    batches = [[1], [3], [4], [5], [7], [8], [9], [12], [13], [16], [17], [96]]
    batches += [[40, 1, 9], [95, 3], [17, 16, 8, 24]]
    assert largest_difference(folder, batches) < TOLERANCE


def test_a_block_of_nothing_but_padding_is_finite(tmp_path: Path) -> None:
    pegasus = load_pegasus(
        open_checkpoint(str(write_tiny_checkpoint(tmp_path, architecture=MODEL)))
    )
    input_ids, mask = padded_batch([90, 1], pegasus.config.vocab_size)
    mask[0] = 0  # a document of nothing
    with torch.no_grad():
        assert whole.encode(pegasus, input_ids, mask).isfinite().all()


@pytest.mark.parametrize("d_model", [4, 32, 768, 1024])
def test_positions_are_those_of_transformers_to_the_bit(d_model: int) -> None:
    oracle = PegasusXSinusoidalPositionalEmbedding(d_model)
    expected = oracle(torch.zeros(1, 16384, d_model))[0]
    assert torch.equal(exponential_positions(16384, d_model), expected)


def test_more_positions_than_the_checkpoint_states_are_computed(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=MODEL)
    encoder = load_pegasus(open_checkpoint(str(folder)), max_source_tokens=300).model.encoder
    assert encoder is not None
    assert torch.equal(encoder.embed_positions.weight, exponential_positions(300, 32))


@pytest.mark.parametrize(("tokens", "are_one"), [(95, False), (96, True), (300, True)])
def test_both_stacks_have_one_table_where_one_has_all_rows_of_the_other(
    tmp_path: Path, tokens: int, are_one: bool
) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=SEQ2SEQ)
    pegasus = load_pegasus(open_checkpoint(str(folder)), max_source_tokens=tokens)
    assert pegasus.model.encoder is not None
    tables = pegasus.model.encoder.embed_positions, pegasus.model.decoder.embed_positions
    assert (tables[0] is tables[1]) == are_one
    unused = {"model.encoder.embed_positions.weight"} if are_one else set()
    assert pegasus.unused_names() == unused
    assert len(tables[1].weight) >= pegasus.config.max_position_embeddings


def test_positions_and_a_bias_that_transformers_would_not_read_are_left_out(
    tmp_path: Path,
) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=SEQ2SEQ)
    weights = load_file(folder / "model.safetensors")
    weights["final_logits_bias"] = torch.ones(1, 189)
    for stack in ("encoder", "decoder"):
        weights[f"model.{stack}.embed_positions.weight"] = torch.ones(96, 32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    pegasus = load_pegasus(open_checkpoint(str(folder)))
    assert pegasus.final_logits_bias is None
    assert torch.equal(pegasus.model.decoder.embed_positions.weight, exponential_positions(96, 32))


def test_names_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture=SEQ2SEQ)
    oracle = transformers.PegasusXForConditionalGeneration.from_pretrained(folder)
    names = load_pegasus(open_checkpoint(str(folder))).state_dict()
    assert {name for name in names if "embed_positions" not in name} <= set(oracle.state_dict())
