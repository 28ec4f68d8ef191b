"""Random checkpoints of random shapes, and their exported bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from e2e.parity.models import CAUSAL, MODELS, WHOLE_GRAPHS
from e2e.parity.whole_graph import WholeGraph, fixed_options
from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.plans.build import BuildRequest
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import Summarizer, TextGenerator

__all__ = [
    "MAX_BEAMS",
    "MAX_DOCUMENTS",
    "Opened",
    "export_checkpoint",
    "make_checkpoint",
]

Opened = Summarizer | TextGenerator | WholeGraph
MAX_DOCUMENTS = 4
MAX_BEAMS = 32  # that are drawn, and that bundles of target ort take
WEIGHTS = ("safetensors", "safetensors-sharded", "bin", "bin-sharded", "bin-legacy")


def make_checkpoint(folder: Path, seed: int, case: int, family: str, target: str) -> Any:
    """A random checkpoint of random shape, as a transformers model."""
    import transformers

    rng = np.random.default_rng([seed, case, 1])
    heads = rng.choice([1, 2, 3, 4], 2)
    config: dict[str, Any] = {
        "d_model": 12 * 2 * int(rng.integers(1, 4)),  # 1 to 4 heads divide it
        "encoder_layers": int(rng.integers(1, 5)),
        "decoder_layers": int(rng.integers(1, 4)),
        "encoder_attention_heads": int(heads[0]),
        "decoder_attention_heads": int(heads[1]),
        "encoder_ffn_dim": int(rng.integers(8, 80)),
        "decoder_ffn_dim": int(rng.integers(8, 80)),
        "max_position_embeddings": int(rng.integers(24, 100)),
        "activation_function": str(rng.choice(["relu", "gelu", "gelu_new", "silu"])),
        "scale_embedding": bool(rng.integers(2)),
        "tie_word_embeddings": bool(rng.random() < 0.8),
    }
    weights: Any = str(rng.choice(WEIGHTS))
    if family in CAUSAL:  # by encoder_layers transformers 5.23 makes the decoder's cache
        config["encoder_layers"] = max(config["encoder_layers"], config["decoder_layers"])
    if family.startswith("bigbird"):
        weights = "safetensors"
        config |= _sparse_config(rng)
        if target == "trt":
            config |= _plugin_config(rng, config["encoder_attention_heads"])
    elif family == "pegasus_x":
        weights = "safetensors"
        config |= _local_config(rng)
    generation: dict[str, Any] = {"eos_token_id": [1, 110]} if rng.random() < 0.2 else {}
    if target in WHOLE_GRAPHS:
        generation |= fixed_options(rng)
    write_tiny_checkpoint(
        folder / "checkpoint",
        architecture=MODELS[family],
        seed=int(rng.integers(1 << 30)),
        weights=weights if config["tie_word_embeddings"] else "safetensors",
        sharpness=float(rng.choice([3.0, 4.0, 6.0])),
        generation=generation or None,
        **config,
    )
    library: Any = transformers
    model = getattr(library, MODELS[family]).from_pretrained(folder / "checkpoint", dtype="float32")
    return model.eval()


def export_checkpoint(folder: Path, positions: int, target: str, *, causal: bool = False) -> Opened:
    """The loaded bundle of a checkpoint; of plans, the graphs, with the limits of target ort."""
    plans = PlanRequest()
    if target in ("trt", "trt-rtx"):
        plans = PlanRequest(
            num_beams=MAX_BEAMS,
            max_target_tokens=positions,
            max_batch=MAX_DOCUMENTS,
            onnx_only=True,
            # of kernels, not run here
            build=BuildRequest(compute_capabilities=("8.0",) if target == "trt" else None),
        )
    output = folder / "bundle"
    is_whole = target in WHOLE_GRAPHS
    export_bundle(
        ExportRequest(
            model=str(folder / "checkpoint"),
            output=output,
            target=WHOLE_GRAPHS.get(target, target),
            generate=is_whole,
            plans=plans,
        )
    )
    if is_whole:
        return WholeGraph(output)
    if causal:
        return TextGenerator.load(output, threads=1)
    return Summarizer.load(output, provider="cpu", threads=1)


def _sparse_config(rng: np.random.Generator) -> dict[str, Any]:
    """Blocks so small, and positions so many, that most documents are attended to sparsely."""
    block_size, num_random_blocks = int(rng.integers(1, 9)), int(rng.integers(1, 4))
    longest_full = (5 + 2 * num_random_blocks) * block_size
    return {
        "block_size": block_size,
        "num_random_blocks": num_random_blocks,
        "max_position_embeddings": 24 + 2 * longest_full + int(rng.integers(8 * block_size)),
        "use_bias": bool(rng.random() < 0.3),
    }


def _local_config(rng: np.random.Generator) -> dict[str, Any]:
    """Blocks so small that most documents have several."""
    staggers = bool(rng.random() < 0.8)
    return {
        "block_size": 2 * int(rng.integers(1, 13)) + (0 if staggers else int(rng.integers(2))),
        "num_global_tokens": int(rng.integers(1, 9)),
        "stagger_local_blocks": staggers,
    }


def _plugin_config(rng: np.random.Generator, heads: int) -> dict[str, Any]:
    """The smallest sizes that TensorRT's plugin has kernels for: that is what trt exports."""
    block_size, num_random_blocks = 16, int(rng.integers(1, 4))
    longest_full = (5 + 2 * num_random_blocks) * block_size
    return {
        "d_model": 32 * heads,
        "decoder_attention_heads": heads,
        "block_size": block_size,
        "num_random_blocks": num_random_blocks,
        "max_position_embeddings": 2 * longest_full + int(rng.integers(8 * block_size)),
    }
