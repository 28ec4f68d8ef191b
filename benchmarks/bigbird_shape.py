"""A checkpoint with google/bigbird-pegasus-large's encoder and random weights, of any length.

16 encoder layers, d 1024, 16 heads, blocks of 64 tokens, 3 random blocks, vocabulary 96103; as many
positions as are asked for (the published ones have 4096), and a single decoder layer, as
benchmarks of it look at the encoder. `attention_type` original_full makes the same encoder attend
in full.

    python benchmarks/bigbird_shape.py build/benchmarks/bigbird --positions 8192
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from xsum_shape import LOGIT_SCALE, WeightSpec, write_tensors, write_vocabulary

__all__ = ["BigBirdShape", "write_checkpoint", "write_full_twin"]

UNK_ID = 105


@dataclass(frozen=True, slots=True, kw_only=True)
class BigBirdShape:
    """The sizes of a BigBirdPegasus model; the defaults are the published encoder's."""

    encoder_layers: int = 16
    decoder_layers: int = 1
    d_model: int = 1024
    ffn_dim: int = 4096
    heads: int = 16
    vocabulary: int = 96103
    positions: int = 8192
    block_size: int = 64
    num_random_blocks: int = 3
    attention_type: str = "block_sparse"
    seed: int = 0


def write_checkpoint(folder: Path, shape: BigBirdShape) -> Path:
    """Write config and weights into ``folder``, unless that very shape is there.

    ``shape.json`` is written last and marks the folder as complete.
    """
    mark = folder / "shape.json"
    if mark.is_file() and BigBirdShape(**json.loads(mark.read_text())) == shape:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    (folder / "config.json").write_text(json.dumps(_config(shape), indent=2) + "\n")
    write_tensors(folder / "model.safetensors", _weight_specs(shape), seed=shape.seed)
    unused = [f"<unused_{index}>" for index in range(2, UNK_ID)]
    write_vocabulary(folder / "spiece.model", shape.vocabulary, specials=unused)
    mark.write_text(json.dumps(asdict(shape), indent=2) + "\n")
    return folder


def write_full_twin(sparse: Path, folder: Path) -> Path:
    """The same weights, as a link, in a checkpoint that attends in full."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((sparse / "config.json").read_text())
    config["attention_type"] = "original_full"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for name in ("model.safetensors", "spiece.model"):
        (folder / name).unlink(missing_ok=True)
        os.link(sparse / name, folder / name)
    return folder


def _weight_specs(shape: BigBirdShape) -> Iterator[WeightSpec]:
    d = shape.d_model
    yield WeightSpec(name="model.shared.weight", shape=(shape.vocabulary, d), std=d**-0.5)
    for stack, layers in (("encoder", shape.encoder_layers), ("decoder", shape.decoder_layers)):
        yield WeightSpec(
            name=f"model.{stack}.embed_positions.weight", shape=(shape.positions, d), std=0.3
        )
        for layer in range(layers):
            yield from _layer_specs(f"model.{stack}.layers.{layer}", shape, stack, layers)
        last = f"model.{stack}.layernorm_embedding"
        mean, std = (1.0, 0.05) if stack == "encoder" else (0.0, LOGIT_SCALE)
        yield WeightSpec(name=f"{last}.weight", shape=(d,), mean=mean, std=std)
        yield WeightSpec(name=f"{last}.bias", shape=(d,), std=0.02)


def _layer_specs(prefix: str, shape: BigBirdShape, stack: str, layers: int) -> Iterator[WeightSpec]:
    d, f = shape.d_model, shape.ffn_dim
    attention = {
        "encoder": {"self_attn": ("self.query", "self.key", "self.value", "output")},
        "decoder": dict.fromkeys(
            ("self_attn", "encoder_attn"), ("q_proj", "k_proj", "v_proj", "out_proj")
        ),
    }[stack]
    gain = (layers * (len(attention) + 1)) ** -0.5
    for name, projections in attention.items():
        for projection in projections:
            std = d**-0.5 * (gain if projection in ("output", "out_proj") else 1.0)
            yield WeightSpec(name=f"{prefix}.{name}.{projection}.weight", shape=(d, d), std=std)
    for norm in (*(f"{name}_layer_norm" for name in attention), "final_layer_norm"):
        yield WeightSpec(name=f"{prefix}.{norm}.weight", shape=(d,), mean=1.0, std=0.05)
        yield WeightSpec(name=f"{prefix}.{norm}.bias", shape=(d,), std=0.02)
    yield WeightSpec(name=f"{prefix}.fc1.weight", shape=(f, d), std=d**-0.5)
    yield WeightSpec(name=f"{prefix}.fc1.bias", shape=(f,), std=0.02)
    yield WeightSpec(name=f"{prefix}.fc2.weight", shape=(d, f), std=gain * f**-0.5)
    yield WeightSpec(name=f"{prefix}.fc2.bias", shape=(d,), std=0.02)


def _config(shape: BigBirdShape) -> dict[str, object]:
    return {
        "activation_function": "gelu_new",
        "architectures": ["BigBirdPegasusForConditionalGeneration"],
        "attention_type": shape.attention_type,
        "block_size": shape.block_size,
        "bos_token_id": 2,
        "d_model": shape.d_model,
        "decoder_attention_heads": shape.heads,
        "decoder_ffn_dim": shape.ffn_dim,
        "decoder_layers": shape.decoder_layers,
        "decoder_start_token_id": 2,
        "encoder_attention_heads": shape.heads,
        "encoder_ffn_dim": shape.ffn_dim,
        "encoder_layers": shape.encoder_layers,
        "eos_token_id": 1,
        "is_encoder_decoder": True,
        "max_position_embeddings": shape.positions,
        "model_type": "bigbird_pegasus",
        "num_random_blocks": shape.num_random_blocks,
        "pad_token_id": 0,
        "scale_embedding": True,
        "tie_word_embeddings": True,
        "use_bias": False,
        "vocab_size": shape.vocabulary,
    }


def main(argv: list[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to write the checkpoint")
    parser.add_argument("--positions", type=int, default=BigBirdShape().positions)
    arguments = parser.parse_args(argv)
    print(write_checkpoint(arguments.folder, BigBirdShape(positions=arguments.positions)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
