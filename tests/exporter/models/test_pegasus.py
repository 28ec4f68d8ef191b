"""The torch modules in the standard dialect are transformers' PEGASUS, whatever its shape."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from exporter.tiny_checkpoint import WeightsFormat, write_tiny_checkpoint
from exporter.tolerances import assert_close
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.graphs import whole
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus

Batch = tuple[Tensor, Tensor, Tensor]


def _random_shape(seed: int) -> dict[str, Any]:
    """Fields of a config; every fourth seed has another activation."""
    rng = random.Random(seed)
    encoder_heads, decoder_heads = rng.choice([(1, 4), (2, 8), (4, 2), (8, 1)])
    return {
        "d_model": rng.choice([16, 32, 48]),
        "encoder_layers": rng.randint(1, 3),
        "decoder_layers": rng.randint(1, 3),
        "encoder_attention_heads": encoder_heads,
        "decoder_attention_heads": decoder_heads,
        "encoder_ffn_dim": rng.choice([8, 40]),
        "decoder_ffn_dim": rng.choice([24, 64]),
        "activation_function": ("relu", "gelu", "gelu_new", "silu")[seed % 4],
        "scale_embedding": seed % 3 > 0,
        "max_position_embeddings": rng.choice([12, 33]),
        "seed": seed,
    }


def _random_batch(vocab_size: int, seed: int) -> Batch:
    """input_ids and attention_mask [B, S] with padding, decoder_input_ids [B, T]."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((1, 1, 1), (2, 9, 4), (3, 12, 1), (1, 5, 12))[seed % 4]
    batch, source, target = sizes
    input_ids = torch.randint(0, vocab_size, (batch, source), generator=generator)
    attention_mask = torch.ones(batch, source, dtype=torch.int64)
    for row in range(1, batch):
        attention_mask[row, source - 2 * row :] = 0
        input_ids[row, source - 2 * row :] = 0
    return input_ids, attention_mask, torch.randint(0, vocab_size, (batch, target))


def _load(folder: Path, **options: Any) -> Pegasus:
    return load_pegasus(open_checkpoint(str(folder)), **options)


def _run(pegasus: Pegasus, batch: Batch) -> tuple[Tensor, Tensor]:
    """Encoder states, and hidden states of the decoder."""
    input_ids, attention_mask, decoder_input_ids = batch
    encoded = whole.encode(pegasus, input_ids, attention_mask)
    cross = whole.cross_keys(pegasus, encoded, attention_mask)
    return encoded, whole.decode(pegasus, decoder_input_ids, cross)[0]


def _oracle(architecture: str, folder: Path) -> Any:
    return getattr(transformers, architecture).from_pretrained(folder).eval()


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_a_conditional_generator_has_transformers_logits_and_encoder_states(
    tmp_path: Path, seed: int, tied: bool
) -> None:
    weights: WeightsFormat = "safetensors" if seed % 2 else "bin"  # .bin lacks the positions
    folder = write_tiny_checkpoint(
        tmp_path, weights=weights, tie_word_embeddings=tied, **_random_shape(seed)
    )
    pegasus = _load(folder)
    batch = _random_batch(pegasus.config.vocab_size, seed)
    encoded, hidden = _run(pegasus, batch)
    expected = _oracle("PegasusForConditionalGeneration", folder)(
        input_ids=batch[0], attention_mask=batch[1], decoder_input_ids=batch[2]
    )
    assert_close(encoded, expected.encoder_last_hidden_state)
    assert_close(pegasus.logits(hidden), expected.logits)
    assert (pegasus.lm_head is None) == tied


@torch.no_grad()
@pytest.mark.parametrize("seed", range(2))
def test_a_headless_model_has_transformers_hidden_states(tmp_path: Path, seed: int) -> None:
    folder = write_tiny_checkpoint(tmp_path, architecture="PegasusModel", **_random_shape(seed))
    pegasus = _load(folder)
    batch = _random_batch(pegasus.config.vocab_size, seed)
    encoded, hidden = _run(pegasus, batch)
    expected = _oracle("PegasusModel", folder)(
        input_ids=batch[0], attention_mask=batch[1], decoder_input_ids=batch[2]
    )
    assert_close(encoded, expected.encoder_last_hidden_state)
    assert_close(hidden, expected.last_hidden_state)


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_a_decoder_alone_has_transformers_logits(tmp_path: Path, seed: int, tied: bool) -> None:
    folder = write_tiny_checkpoint(
        tmp_path,
        architecture="PegasusForCausalLM",
        tie_word_embeddings=tied,
        **_random_shape(seed),
    )
    pegasus = _load(folder)
    assert pegasus.model.encoder is None
    input_ids = torch.randint(0, pegasus.config.vocab_size, (2, 7))
    mask = torch.tensor([[1] * 7, [0, 0] + [1] * 5])  # padded on the left, as generation pads
    expected = _oracle("PegasusForCausalLM", folder)(
        input_ids=input_ids,
        attention_mask=mask,
        use_cache=False,  # its cache has as many layers as the encoder that is not there
    )
    hidden, _ = whole.decode(pegasus, input_ids, None, attention_mask=mask)
    assert_close(pegasus.logits(hidden)[mask > 0], expected.logits[mask > 0])


@torch.no_grad()
def test_decoding_after_a_past_continues_it(tmp_path: Path) -> None:
    pegasus = _load(write_tiny_checkpoint(tmp_path))
    input_ids, mask, _ = _random_batch(pegasus.config.vocab_size, 1)
    cross = whole.cross_keys(pegasus, whole.encode(pegasus, input_ids, mask), mask)
    tokens = torch.randint(0, pegasus.config.vocab_size, (2, 6))
    expected, keys = whole.decode(pegasus, tokens, cross)
    first, past = whole.decode(pegasus, tokens[:, :2], cross)
    rest, present = whole.decode(pegasus, tokens[:, 2:], cross, past)
    assert_close(torch.cat([first, rest], dim=1), expected)
    for got, whole_key in zip(present.keys, keys.keys, strict=True):
        assert_close(got, whole_key)
