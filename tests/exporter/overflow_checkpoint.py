"""A checkpoint that computes what another computes, with a residual stream that fp16 cannot hold.

Everything that writes into the stream is multiplied by a power of two: what reads it is a LayerNorm
each time, which takes the factor out again. Published PEGASUS checkpoints have such streams from
their training (transformers issues 11289 and 12225).
"""

import json
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

__all__ = ["write_overflowing"]

_WRITER = re.compile(
    r"(embed_tokens|embed_positions|out_proj|fc2)\.(weight|bias)$|^model\.shared\.weight$"
)


def write_overflowing(checkpoint: Path, folder: Path, *, factor: float) -> Path:
    """Writes the checkpoint with its residual stream times `factor`; the embedding is untied."""
    shutil.copytree(checkpoint, folder)
    weights = {name: x.float() for name, x in load_file(folder / "model.safetensors").items()}
    shared = weights["model.shared.weight"]
    weights["lm_head.weight"] = shared.clone()
    for stack in ("encoder", "decoder"):
        weights[f"model.{stack}.embed_tokens.weight"] = shared.clone()
        positions = f"model.{stack}.embed_positions.weight"
        if positions not in weights:
            weights[positions] = _positions(folder)
    scaled = {
        name: (x * factor if _WRITER.search(name) else x).contiguous()
        for name, x in weights.items()
    }
    save_file(scaled, folder / "model.safetensors", metadata={"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"tie_word_embeddings": False}
    path.write_text(json.dumps(config))
    return folder


def _positions(folder: Path) -> torch.Tensor:
    from pegasus_export.models.loading import sinusoidal_positions

    config = json.loads((folder / "config.json").read_text())
    return sinusoidal_positions(config["max_position_embeddings"], config["d_model"])
