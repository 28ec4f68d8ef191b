"""The architecture of bigbird-mini, what it starts from, and its files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2
from torch import Tensor

from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.config import BlockSparse, PegasusConfig
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.models.bigbird_pegasus import checkpoint_name
from pegasus_export.models.loading import load_pegasus, sinusoidal_positions
from pegasus_export.models.pegasus import Pegasus

__all__ = ["MAX_POSITIONS", "build_model", "save_checkpoint", "write_vocabulary"]

ARCHITECTURE = "BigBirdPegasusForConditionalGeneration"
MAX_POSITIONS = 3584
BLOCK_SPARSE = BlockSparse(block_size=32, num_random_blocks=3)
PAD_ID, EOS_ID, START_ID, UNK_ID = 0, 1, 2, 105
GENERATION: dict[str, object] = {
    "num_beams": 5,
    "length_penalty": 0.8,
    "max_length": 64,
    "decoder_start_token_id": START_ID,
    "bos_token_id": START_ID,
    "pad_token_id": PAD_ID,
    "eos_token_id": EOS_ID,
}


def build_model(pegasus_mini: Path) -> Pegasus:
    """pegasus-mini's weights in BigBirdPegasus' shape, as Google made theirs from PEGASUS.

    The attention loses its biases; the positions start as the sinusoids and are learned from here.
    """
    source = load_pegasus(open_checkpoint(str(pegasus_mini)))
    config = dataclasses.replace(
        source.config,
        max_position_embeddings=MAX_POSITIONS,
        decoder_start_token_id=START_ID,
        attention_bias=False,
        learned_positions=True,
        block_sparse=BLOCK_SPARSE,
    )
    model = Pegasus(config, ARCHITECTURES[ARCHITECTURE])
    weights = source.state_dict()
    positions = sinusoidal_positions(MAX_POSITIONS, config.d_model)
    known = {
        name: positions if "embed_positions" in name else weights[name]
        for name in model.state_dict()
        if name in weights
    }
    known["final_logits_bias"] = torch.zeros(1, config.vocab_size)
    model.load_state_dict(known, strict=True)
    return model


def write_vocabulary(pegasus_mini: Path, path: Path) -> None:
    """pegasus-mini's pieces with the same ids, in the layout of the published vocabulary.

    There, the 103 ids that PEGASUS keeps free before its pieces are pieces of their own.
    """
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString((pegasus_mini / "spiece.model").read_bytes())
    pieces = list(model.pieces)
    del model.pieces[:]
    model.pieces.extend(pieces[:2])  # <pad>, </s>
    for index in range(2, UNK_ID):
        name = {2: "<s>", 65: "[CLS]", 66: "[SEP]", 67: "[MASK]"}.get(index, f"<unused_{index}>")
        user_defined = sentencepiece_model_pb2.ModelProto.SentencePiece.USER_DEFINED  # type: ignore[attr-defined]
        model.pieces.add(piece=name, score=0.0, type=user_defined)
    model.pieces.extend(pieces[2:])  # <unk>, <n> and the words
    model.trainer_spec.unk_id = UNK_ID
    model.trainer_spec.vocab_size = len(model.pieces)
    path.write_bytes(model.SerializeToString())
    sentencepiece.SentencePieceProcessor(model_file=str(path))  # that it can be read


def save_checkpoint(model: Pegasus, folder: Path) -> None:
    """Writes the model into ``folder`` (beside ``spiece.model``), its weights as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    weights: dict[str, Tensor] = {
        checkpoint_name(name): tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    path = folder / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes files that only their owner can read
    _write_json(folder / "config.json", _config(model.config))
    _write_json(folder / "generation_config.json", GENERATION)
    tokenizer = {
        "tokenizer_class": "PegasusTokenizer",
        "model_max_length": MAX_POSITIONS,
        "offset": 0,
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    _write_json(folder / "tokenizer_config.json", tokenizer)


def _config(config: PegasusConfig) -> dict[str, Any]:
    fields: dict[str, Any] = transformers.BigBirdPegasusConfig(
        vocab_size=config.vocab_size,
        d_model=config.d_model,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        encoder_attention_heads=config.encoder_attention_heads,
        decoder_attention_heads=config.decoder_attention_heads,
        encoder_ffn_dim=config.encoder_ffn_dim,
        decoder_ffn_dim=config.decoder_ffn_dim,
        max_position_embeddings=config.max_position_embeddings,
        activation_function=config.activation_function,
        scale_embedding=config.scale_embedding,
        attention_type="block_sparse",
        block_size=BLOCK_SPARSE.block_size,
        num_random_blocks=BLOCK_SPARSE.num_random_blocks,
        use_bias=False,
        dropout=0.0,
        decoder_start_token_id=START_ID,
    ).to_dict()
    return fields | {"architectures": [ARCHITECTURE], "dtype": "float16"}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
