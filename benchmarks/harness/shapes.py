"""Checkpoints of published shapes with random weights, and documents, so that no hub is needed.

Of google/pegasus-xsum (568 million parameters, 2.27 GB in fp32), google/bigbird-pegasus-large and
google/pegasus-x-base: names, shapes and settings are those of the published checkpoints, as
transformers saves them. The
weights keep activations at the size of a trained model's, and make the distributions over the
vocabulary sharp, so that beams do not tie.

Dimension key: V vocabulary, D model dim, F feed-forward dim.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from harness.checkpoint_files import WeightSpec, write_tensors, write_vocabulary

RESERVED_IDS = 103  # model id = piece id + 103: masks and unused ids come before the pieces
FIRST_PIECE_ID = RESERVED_IDS + 4  # <pad>, </s>, <unk>, <n>: then come the ids that stand for text
END_ID = 1  # </s>, the last token of every document
LOGIT_SCALE = 4.0  # standard deviation of the logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a model; the defaults are google/pegasus-xsum's."""

    model: str = "pegasus"
    """Or "bigbird_pegasus", or "pegasus_x"."""
    encoder_layers: int = 16
    decoder_layers: int = 16
    d_model: int = 1024
    ffn_dim: int = 4096
    heads: int = 16
    vocabulary: int = 96103
    positions: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ValueError(f"d_model {self.d_model} is not a multiple of {self.heads} heads")
        if self.vocabulary <= FIRST_PIECE_ID:
            raise ValueError(
                f"vocabulary is {self.vocabulary}, expected more than"
                f" {FIRST_PIECE_ID}: the reserved ids and special pieces"
            )
        if self.positions < 2:
            raise ValueError(f"positions is {self.positions}, expected 2 or more")

    @property
    def is_sparse(self) -> bool:
        return self.model == "bigbird_pegasus"

    @property
    def num_global_tokens(self) -> int:
        count = _published(self.model).get("num_global_tokens", 0)
        assert isinstance(count, int)
        return count


XSUM = Shape()
BIGBIRD = Shape(model="bigbird_pegasus", positions=4096)
PEGASUS_X = Shape(
    model="pegasus_x",
    encoder_layers=12,
    decoder_layers=12,
    d_model=768,
    ffn_dim=3072,
    heads=12,
    positions=16384,
)
PUBLISHED = Path(__file__).resolve().with_name("published")
"""Configs of google/pegasus-xsum, google/bigbird-pegasus-large and google/pegasus-x-base."""
NAMES = {
    XSUM: "xsum-shape",
    BIGBIRD: "bigbird-shape",
    PEGASUS_X: "pegasus-x-shape",
}


def write_checkpoint(work_dir: Path, shape: Shape) -> Path:
    """Writes config, weights and vocabulary into a folder of the shape's own, unless it is there.

    ``shape.json`` is written last and marks the folder as complete.
    """
    folder = work_dir / checkpoint_name(shape)
    mark = folder / "shape.json"
    if mark.is_file() and json.loads(mark.read_text()) == asdict(shape):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    _write_json(folder / "config.json", _config(shape))
    if shape.is_sparse:
        write_vocabulary(folder / "spiece.model", "bigbird-mini", shape.vocabulary)
    else:
        if shape.model == XSUM.model:
            generation = (PUBLISHED / "pegasus_generation.json").read_text()
            (folder / "generation_config.json").write_text(generation)
        tokenizer = {"model_max_length": shape.positions, "tokenizer_class": "PegasusTokenizer"}
        _write_json(folder / "tokenizer_config.json", tokenizer)
        pieces = shape.vocabulary - RESERVED_IDS
        write_vocabulary(folder / "spiece.model", "pegasus-mini", pieces)
    write_tensors(folder / "model.safetensors", _weight_specs(shape), seed=shape.seed)
    _write_json(mark, asdict(shape))
    return folder


def write_full_twin(sparse: Path) -> Path:
    """The same weights, as a link, in a checkpoint that attends in full."""
    folder = sparse.with_name(f"{sparse.name}-full")
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((sparse / "config.json").read_text())
    _write_json(folder / "config.json", config | {"attention_type": "original_full"})
    for name in ("model.safetensors", "spiece.model", "shape.json"):
        (folder / name).unlink(missing_ok=True)
        os.link(sparse / name, folder / name)
    return folder


def checkpoint_name(shape: Shape) -> str:
    """The folder name of a shape, so that checkpoints of several shapes can stand side by side."""
    published, name = next(item for item in NAMES.items() if item[0].model == shape.model)
    if replace(shape, positions=published.positions) == published:
        return name if shape == published else f"{name}-{shape.positions}-positions"
    mark = hashlib.sha256(repr(shape).encode()).hexdigest()[:8]
    return f"{name}-{shape.encoder_layers}x{shape.d_model}x{shape.vocabulary}-{mark}"


def random_lengths(count: int, *, shortest: int, longest: int, seed: int) -> list[int]:
    """Lengths drawn evenly from ``shortest`` to ``longest``, both included."""
    lengths = np.random.default_rng(seed).integers(shortest, longest + 1, count)
    return [int(length) for length in lengths]


def random_documents(
    lengths: Sequence[int], *, vocabulary: int, seed: int
) -> tuple[tuple[int, ...], ...]:
    """One document of each length in tokens, the end token included."""
    random = np.random.default_rng(seed)
    return tuple(
        (*random.integers(FIRST_PIECE_ID, vocabulary, length - 1).tolist(), END_ID)
        for length in lengths
    )


def _weight_specs(shape: Shape) -> Iterator[WeightSpec]:
    """All stored tensors; the head is the embedding, and BigBird alone has its positions stored."""
    v, d = shape.vocabulary, shape.d_model
    yield WeightSpec(name="model.shared.weight", shape=(v, d), std=d**-0.5)
    if shape.num_global_tokens:
        size = (shape.num_global_tokens, d)
        yield WeightSpec(name="model.encoder.embed_global.weight", shape=size, std=1.0)
    if shape.model == XSUM.model:
        yield WeightSpec(name="final_logits_bias", shape=(1, v))
    for stack, layers in (("encoder", shape.encoder_layers), ("decoder", shape.decoder_layers)):
        prefix = f"model.{stack}"
        if shape.is_sparse:
            positions = (shape.positions, d)
            yield WeightSpec(name=f"{prefix}.embed_positions.weight", shape=positions, std=0.3)
        for layer in range(layers):
            yield from _layer_specs(f"{prefix}.layers.{layer}", shape, stack, layers)
        # Mean 0 in the decoder: the head is the embedding, so with mean 1 every token would
        # predict itself.
        mean, std = (1.0, 0.05) if stack == "encoder" else (0.0, LOGIT_SCALE)
        norm = f"{prefix}.{'layernorm_embedding' if shape.is_sparse else 'layer_norm'}"
        yield from _norm_specs(norm, d, mean, std)


def _norm_specs(name: str, d: int, mean: float = 1.0, std: float = 0.05) -> Iterator[WeightSpec]:
    yield WeightSpec(name=f"{name}.weight", shape=(d,), mean=mean, std=std)
    yield WeightSpec(name=f"{name}.bias", shape=(d,), std=0.02)


def _layer_specs(prefix: str, shape: Shape, stack: str, layers: int) -> Iterator[WeightSpec]:
    """One pre-norm layer. Each block adds 1/√(blocks of the stack) to a stream of size 1."""
    d, f = shape.d_model, shape.ffn_dim
    attentions = ("self_attn",) if stack == "encoder" else ("self_attn", "encoder_attn")
    gain = (layers * (len(attentions) + 1)) ** -0.5
    projections = ("q_proj", "k_proj", "v_proj", "out_proj")
    if shape.is_sparse and stack == "encoder":
        projections = ("self.query", "self.key", "self.value", "output")
    for attention in attentions:
        for projection in projections:
            std = d**-0.5 * (gain if projection == projections[-1] else 1.0)
            name = f"{prefix}.{attention}.{projection}"
            yield WeightSpec(name=f"{name}.weight", shape=(d, d), std=std)
            if shape.model == XSUM.model:
                yield WeightSpec(name=f"{name}.bias", shape=(d,))  # zero, as in the published file
    norms = [*(f"{name}_layer_norm" for name in attentions), "final_layer_norm"]
    if shape.num_global_tokens and stack == "encoder":
        norms.append("global_self_attn_layer_norm")
    for norm in norms:
        yield from _norm_specs(f"{prefix}.{norm}", d)
    yield WeightSpec(name=f"{prefix}.fc1.weight", shape=(f, d), std=d**-0.5)
    yield WeightSpec(name=f"{prefix}.fc1.bias", shape=(f,), std=0.02)
    yield WeightSpec(name=f"{prefix}.fc2.weight", shape=(d, f), std=gain * f**-0.5)
    yield WeightSpec(name=f"{prefix}.fc2.bias", shape=(d,), std=0.02)


def _config(shape: Shape) -> dict[str, object]:
    """As published, but for the sizes."""
    published = _published(shape.model)
    sizes: dict[str, object] = {"d_model": shape.d_model, "vocab_size": shape.vocabulary}
    for stack in ("encoder", "decoder"):
        sizes[f"{stack}_attention_heads"] = shape.heads
        sizes[f"{stack}_ffn_dim"] = shape.ffn_dim
    layers = {"encoder_layers": shape.encoder_layers, "decoder_layers": shape.decoder_layers}
    return {**published, **sizes, **layers, "max_position_embeddings": shape.positions}


def _published(model: str) -> dict[str, object]:
    config: dict[str, object] = json.loads((PUBLISHED / f"{model}.json").read_text())
    return config


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def add_shape_arguments(parser: argparse.ArgumentParser) -> None:
    """Options for the shape; leave them alone for the published one."""
    group = parser.add_argument_group("shape", "defaults are the published one's")
    group.add_argument("--layers", type=int, default=XSUM.encoder_layers, help="of each stack")
    group.add_argument("--d-model", type=int, default=XSUM.d_model, help="64 to a head")
    group.add_argument("--vocabulary", type=int, default=XSUM.vocabulary)
    group.add_argument("--positions", type=int, help="longest document; default: as published")
    group.add_argument("--seed", type=int, default=XSUM.seed)


def shape_from_arguments(arguments: argparse.Namespace, published: Shape = XSUM) -> Shape:
    """The published shape, but for what the options say."""
    return replace(
        published,
        encoder_layers=arguments.layers,
        decoder_layers=arguments.layers,
        d_model=arguments.d_model,
        ffn_dim=4 * arguments.d_model,
        heads=max(1, arguments.d_model // 64),
        vocabulary=arguments.vocabulary,
        positions=arguments.positions or published.positions,
        seed=arguments.seed,
    )
