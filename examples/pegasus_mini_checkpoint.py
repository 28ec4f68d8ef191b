"""The architecture of pegasus-mini, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PegasusConfig, PegasusForConditionalGeneration

from pegasus_mini_vocabulary import EOS_ID, PAD_ID, PIECE_OFFSET

__all__ = ["MAX_POSITIONS", "build_model", "save_checkpoint"]

MAX_POSITIONS = 512
GENERATION: dict[str, object] = {
    "num_beams": 8,
    "length_penalty": 0.6,
    "max_length": 64,
    "forced_eos_token_id": EOS_ID,
    "decoder_start_token_id": PAD_ID,
    "bos_token_id": PAD_ID,
    "pad_token_id": PAD_ID,
    "eos_token_id": EOS_ID,
}


def build_model(
    n_ids: int, layers: tuple[int, int], d_model: int, heads: int
) -> PegasusForConditionalGeneration:
    """A PEGASUS with random weights; ``layers`` are those of encoder and decoder."""
    config = PegasusConfig(
        vocab_size=n_ids,
        d_model=d_model,
        encoder_layers=layers[0],
        decoder_layers=layers[1],
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * d_model,
        decoder_ffn_dim=4 * d_model,
        max_position_embeddings=MAX_POSITIONS,
        activation_function="relu",
        scale_embedding=True,
        tie_word_embeddings=True,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        init_std=0.05,
        decoder_start_token_id=PAD_ID,
        pad_token_id=PAD_ID,
        eos_token_id=EOS_ID,
        forced_eos_token_id=EOS_ID,
    )
    return PegasusForConditionalGeneration(config)


def save_checkpoint(model: PegasusForConditionalGeneration, folder: Path) -> None:
    """Writes the model into ``folder`` (beside ``spiece.model``), its weights as float16.

    As in the published checkpoints the sinusoidal positions are left out: they are computed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if "embed_positions" not in name
        and name not in ("lm_head.weight", "model.encoder.embed_tokens.weight")
        and name != "model.decoder.embed_tokens.weight"
    }
    path = folder / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes files that only their owner can read
    config = model.config.to_dict() | {"architectures": ["PegasusForConditionalGeneration"]}
    config |= {"dtype": "float16", "bos_token_id": PAD_ID}
    _write_json(folder / "config.json", config)
    _write_json(folder / "generation_config.json", GENERATION)
    tokenizer = {
        "tokenizer_class": "PegasusTokenizer",
        "model_max_length": MAX_POSITIONS,
        "offset": PIECE_OFFSET,
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    _write_json(folder / "tokenizer_config.json", tokenizer)


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
