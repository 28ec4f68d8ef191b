"""Random checkpoints that amplify rounding: large weights, large residual streams, odd padding."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.tiny_checkpoint import tiny_spiece, tiny_vocab_size

__all__ = ["Drawn", "draw_checkpoint"]

_ACTIVATIONS = ("relu", "gelu", "gelu_new", "silu")
_WRITERS = ("embed_tokens", "shared", "embed_positions", "out_proj", "attention.output", "fc2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One checkpoint, as transformers runs it and as it lies on the disk."""

    model: Any
    folder: Path
    words: str
    """What is sharp about it."""


def draw_checkpoint(folder: Path, rng: np.random.Generator, *, plain: bool = False) -> Drawn:
    """A checkpoint of either family, written to the folder; plain: with no large stream."""
    import torch
    import transformers

    library: Any = transformers  # its annotations are incomplete
    torch.manual_seed(int(rng.integers(1 << 30)))
    is_bigbird = bool(rng.random() < 0.3)
    fields = _draw_fields(rng) | (_draw_sparse(rng) if is_bigbird else {})
    family = "BigBirdPegasus" if is_bigbird else "Pegasus"
    config = getattr(library, f"{family}Config")(**fields)
    model = getattr(library, f"{family}ForConditionalGeneration")(config).eval()
    stream = _sharpen(model, rng, plain=plain)
    model.generation_config = library.GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        bos_token_id=2,
        max_length=min(16, config.max_position_embeddings),
    )
    model.save_pretrained(folder)
    (folder / "spiece.model").write_bytes(tiny_spiece(bigbird=is_bigbird))
    settings = {"tokenizer_class": "PegasusTokenizer", "offset": 0 if is_bigbird else 103}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    words = f"{family}, init_std {config.init_std:.2f}, {config.activation_function}, "
    words += f"{config.encoder_layers} + {config.decoder_layers} layers, d {config.d_model}, "
    words += f"pad {config.pad_token_id}, {stream}"
    return Drawn(model=model, folder=folder, words=words)


def _draw_fields(rng: np.random.Generator) -> dict[str, Any]:
    heads = rng.choice([1, 2, 4], 2)
    vocab_size = tiny_vocab_size()
    return {
        "vocab_size": vocab_size,
        "d_model": int(rng.choice([16, 32, 48, 64])),
        "encoder_layers": int(rng.integers(1, 4)),
        "decoder_layers": int(rng.integers(1, 3)),
        "encoder_attention_heads": int(heads[0]),
        "decoder_attention_heads": int(heads[1]),
        "encoder_ffn_dim": int(rng.integers(8, 80)),
        "decoder_ffn_dim": int(rng.integers(8, 80)),
        "max_position_embeddings": int(rng.integers(24, 80)),
        "activation_function": str(rng.choice(_ACTIVATIONS)),
        "scale_embedding": bool(rng.integers(2)),
        "tie_word_embeddings": bool(rng.random() < 0.7),
        "init_std": float(np.exp(rng.uniform(np.log(0.02), np.log(1.5)))),
        "pad_token_id": int(rng.choice([0, 0, 1, 3, int(rng.integers(vocab_size))])),
        "eos_token_id": 1,
        "decoder_start_token_id": int(rng.choice([0, 0, 1, 2])),
        "forced_eos_token_id": None,
    }


def _draw_sparse(rng: np.random.Generator) -> dict[str, Any]:
    block_size, num_random_blocks = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    longest_full = (5 + 2 * num_random_blocks) * block_size
    return {
        "attention_type": "block_sparse",
        "block_size": block_size,
        "num_random_blocks": num_random_blocks,
        "max_position_embeddings": 24 + 2 * longest_full,
        "use_bias": bool(rng.random() < 0.3),
    }


def _sharpen(model: Any, rng: np.random.Generator, *, plain: bool) -> str:
    """Gives it biases, norms and a residual stream; in words, which."""
    import torch

    std, size = model.config.init_std, float(10 ** rng.uniform(1, 6))
    kind = "plain" if plain else str(rng.choice(["plain", "plain", "writers", "outliers"]))
    if kind == "writers" and model.config.tie_word_embeddings:
        kind = "outliers"  # a tied head would be as large
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "norm" in name:
                tensor.add_(torch.randn_like(tensor) * (0.2 if name.endswith("weight") else std))
            elif name.endswith("bias") and rng.random() < 0.8:
                tensor.normal_(0, std)
            if kind == "writers" and any(part in name for part in _WRITERS):
                if "classifier" not in name and "lm_head" not in name:
                    tensor.mul_(size)
            elif kind == "outliers" and name.endswith("layers.0.fc2.bias"):
                tensor[: int(rng.integers(1, 4))] = size
        model.final_logits_bias.normal_(0, std)
    return kind if kind == "plain" else f"{kind} {size:.0e}"
