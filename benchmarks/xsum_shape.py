"""A checkpoint of google/pegasus-xsum's shape with random weights, so that benchmarks need no hub.

568 million parameters, 2.27 GB in fp32: the names, shapes and settings of the published checkpoint
as transformers saves it. The weights are seeded and written tensor by tensor, so that writing
takes seconds and little memory. They keep activations at the size of a trained model's, and make
the distributions over the vocabulary sharp, so that beams do not tie.

    python benchmarks/xsum_shape.py build/benchmarks/xsum-shape
    python benchmarks/xsum_shape.py build/benchmarks/small --layers 2 --d-model 64
    python benchmarks/xsum_shape.py build/benchmarks/long --positions 1024    # longer documents

Dimension key: V vocabulary, D model dim, F feed-forward dim.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

__all__ = [
    "END_ID",
    "FIRST_PIECE_ID",
    "LOGIT_SCALE",
    "XSUM",
    "PegasusShape",
    "WeightSpec",
    "checkpoint_name",
    "write_checkpoint",
    "write_tensors",
    "write_vocabulary",
]

RESERVED_IDS = 103  # model id = piece id + 103: masks and unused ids come before the pieces
SPECIAL_PIECES = ("<pad>", "</s>", "<unk>", "<n>")
FIRST_PIECE_ID = RESERVED_IDS + len(SPECIAL_PIECES)  # of the ids that stand for text
END_ID = 1  # </s>, the last token of every document
LOGIT_SCALE = 4.0  # standard deviation of the logits
FLOAT32_BYTES = 4
CORPUS = (
    "The council voted on Tuesday to repair the old bridge over the river before winter.",
    "A spokesman said that nobody was hurt when the train left the rails near the station.",
    "Scientists have found a new kind of frog in the forest, only two centimetres long.",
    "The company expects profits of 4.2 million pounds this year, down from 5.1 million.",
    "Police are looking for three men who broke into a museum and took a painting.",
    "Heavy rain closed 16 roads and left 2,300 homes without power on Monday night.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PegasusShape:
    """The sizes of a PEGASUS model; the defaults are google/pegasus-xsum's."""

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


XSUM = PegasusShape()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSpec:
    """One tensor of the file: values are drawn from normal(mean, std)."""

    name: str
    shape: tuple[int, ...]
    mean: float = 0.0
    std: float = 0.0

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def write_checkpoint(folder: Path, shape: PegasusShape = XSUM) -> Path:
    """Write config, weights and vocabulary into ``folder``, unless that very shape is there.

    ``shape.json`` is written last and marks the folder as complete.
    """
    mark = folder / "shape.json"
    if mark.is_file() and PegasusShape(**json.loads(mark.read_text())) == shape:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    _write_json(folder / "config.json", _config(shape))
    _write_json(folder / "generation_config.json", _generation_config())
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(shape))
    write_vocabulary(folder / "spiece.model", shape.vocabulary - RESERVED_IDS)
    write_tensors(folder / "model.safetensors", _weight_specs(shape), seed=shape.seed)
    _write_json(mark, asdict(shape))
    return folder


def checkpoint_name(shape: PegasusShape) -> str:
    """The folder name of a shape, so that checkpoints of several shapes can stand side by side."""
    if replace(shape, positions=XSUM.positions) == XSUM:
        return "xsum-shape" if shape == XSUM else f"xsum-shape-{shape.positions}-positions"
    mark = hashlib.sha256(repr(shape).encode()).hexdigest()[:8]
    return f"shape-{shape.encoder_layers}x{shape.d_model}x{shape.vocabulary}-{mark}"


def write_tensors(path: Path, weights: Iterable[WeightSpec], *, seed: int) -> None:
    """Write the tensors as one safetensors file, holding one tensor in memory at a time.

    The format: the header's length (u64, little endian), the header (JSON), then the tensors.
    """
    specs = sorted(weights, key=lambda spec: spec.name)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for spec in specs:
        end = offset + spec.size * FLOAT32_BYTES
        header[spec.name] = {
            "dtype": "F32",
            "shape": spec.shape,
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for index, spec in enumerate(specs):
            file.write(_draw(spec, seed=(seed, index)).data)


def write_vocabulary(path: Path, n_pieces: int, *, specials: Sequence[str] = ()) -> None:
    """Write a SentencePiece model: a small trained one, padded with unused pieces to ``n_pieces``.

    The form is the published vocabulary's: <pad> 0, </s> 1, <unk> 2, <n> 3, NFKC, unigram;
    ``specials`` come before <unk>, as in BigBirdPegasus'.
    """
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=trained,
        model_type="unigram",
        vocab_size=min(n_pieces, 200 + len(specials)),
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        pad_id=0,
        eos_id=1,
        unk_id=2 + len(specials),
        bos_id=-1,
        user_defined_symbols=[*specials, "<n>"],
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(trained.getvalue())
    lowest = min(piece.score for piece in model.pieces)
    for index in range(n_pieces - len(model.pieces)):
        model.pieces.add(piece=f"\u2581zqx{index}", score=lowest - 1 - index * 1e-4, type=1)
    model.trainer_spec.vocab_size = len(model.pieces)
    if len(model.pieces) != n_pieces:
        raise ValueError(
            f"vocabulary of {n_pieces} pieces is too small, the text needs {len(model.pieces)}"
        )
    path.write_bytes(model.SerializeToString())


def _draw(spec: WeightSpec, *, seed: tuple[int, int]) -> npt.NDArray[np.float32]:
    if spec.std == 0.0:
        return np.full(spec.shape, spec.mean, dtype=np.float32)
    values = np.random.default_rng(seed).standard_normal(spec.shape, dtype=np.float32)
    values *= np.float32(spec.std)
    values += np.float32(spec.mean)
    if spec.name == "model.shared.weight":
        values[0] = 0.0  # <pad>
    return values


def _weight_specs(shape: PegasusShape) -> Iterator[WeightSpec]:
    """All stored tensors; the head is the embedding, positions are computed."""
    v, d = shape.vocabulary, shape.d_model
    yield WeightSpec(name="final_logits_bias", shape=(1, v))
    yield WeightSpec(name="model.shared.weight", shape=(v, d), std=d**-0.5)
    for layer in range(shape.encoder_layers):
        yield from _layer_specs(f"model.encoder.layers.{layer}", shape, ("self_attn",))
    for layer in range(shape.decoder_layers):
        blocks = ("self_attn", "encoder_attn")
        yield from _layer_specs(f"model.decoder.layers.{layer}", shape, blocks)
    yield from _layer_norm_specs("model.encoder.layer_norm", d)
    # Mean 0: the head is the embedding, so with mean 1 every token would predict itself.
    yield WeightSpec(name="model.decoder.layer_norm.weight", shape=(d,), std=LOGIT_SCALE)
    yield WeightSpec(name="model.decoder.layer_norm.bias", shape=(d,), std=0.02)


def _layer_specs(
    prefix: str, shape: PegasusShape, attentions: tuple[str, ...]
) -> Iterator[WeightSpec]:
    """One pre-norm layer. Each block adds 1/√(blocks of the stack) to a stream of size 1."""
    d, f = shape.d_model, shape.ffn_dim
    depth = shape.encoder_layers if len(attentions) == 1 else shape.decoder_layers
    writer_gain = (depth * (len(attentions) + 1)) ** -0.5
    for attention in attentions:
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            gain = writer_gain if projection == "out_proj" else 1.0
            name = f"{prefix}.{attention}.{projection}"
            yield WeightSpec(name=f"{name}.weight", shape=(d, d), std=gain * d**-0.5)
            yield WeightSpec(name=f"{name}.bias", shape=(d,))  # zero, as in the published file
        yield from _layer_norm_specs(f"{prefix}.{attention}_layer_norm", d)
    yield WeightSpec(name=f"{prefix}.fc1.weight", shape=(f, d), std=d**-0.5)
    yield WeightSpec(name=f"{prefix}.fc1.bias", shape=(f,), std=0.02)
    yield WeightSpec(name=f"{prefix}.fc2.weight", shape=(d, f), std=writer_gain * f**-0.5)
    yield WeightSpec(name=f"{prefix}.fc2.bias", shape=(d,), std=0.02)
    yield from _layer_norm_specs(f"{prefix}.final_layer_norm", d)


def _layer_norm_specs(prefix: str, d: int) -> Iterator[WeightSpec]:
    yield WeightSpec(name=f"{prefix}.weight", shape=(d,), mean=1.0, std=0.05)
    yield WeightSpec(name=f"{prefix}.bias", shape=(d,), std=0.02)


def _config(shape: PegasusShape) -> dict[str, object]:
    return {
        "activation_dropout": 0.1,
        "activation_function": "relu",
        "architectures": ["PegasusForConditionalGeneration"],
        "attention_dropout": 0.1,
        "d_model": shape.d_model,
        "decoder_attention_heads": shape.heads,
        "decoder_ffn_dim": shape.ffn_dim,
        "decoder_layerdrop": 0.0,
        "decoder_layers": shape.decoder_layers,
        "decoder_start_token_id": 0,
        "dropout": 0.1,
        "dtype": "float32",
        "encoder_attention_heads": shape.heads,
        "encoder_ffn_dim": shape.ffn_dim,
        "encoder_layerdrop": 0.0,
        "encoder_layers": shape.encoder_layers,
        "eos_token_id": 1,
        "forced_eos_token_id": 1,
        "init_std": 0.02,
        "is_encoder_decoder": True,
        "max_position_embeddings": shape.positions,
        "model_type": "pegasus",
        "pad_token_id": 0,
        "scale_embedding": True,
        "tie_word_embeddings": True,
        "use_cache": True,
        "vocab_size": shape.vocabulary,
    }


def _generation_config() -> dict[str, object]:
    return {
        "bos_token_id": 0,
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "forced_eos_token_id": 1,
        "length_penalty": 0.6,
        "max_length": 64,
        "num_beams": 8,
        "pad_token_id": 0,
    }


def _tokenizer_config(shape: PegasusShape) -> dict[str, object]:
    return {"model_max_length": shape.positions, "tokenizer_class": "PegasusTokenizer"}


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def add_shape_arguments(parser: argparse.ArgumentParser) -> None:
    """Options for the shape; leave them alone for the published one."""
    group = parser.add_argument_group("shape", "defaults are google/pegasus-xsum's")
    group.add_argument("--layers", type=int, default=XSUM.encoder_layers, help="of each stack")
    group.add_argument("--d-model", type=int, default=XSUM.d_model)
    group.add_argument("--ffn-dim", type=int, help="default: 4 times d_model")
    group.add_argument("--heads", type=int, help="default: d_model / 64")
    group.add_argument("--vocabulary", type=int, default=XSUM.vocabulary)
    group.add_argument(
        "--positions", type=int, default=XSUM.positions, help="longest document; default: 512"
    )
    group.add_argument("--seed", type=int, default=XSUM.seed)


def shape_from_arguments(arguments: argparse.Namespace) -> PegasusShape:
    return PegasusShape(
        encoder_layers=arguments.layers,
        decoder_layers=arguments.layers,
        d_model=arguments.d_model,
        ffn_dim=arguments.ffn_dim or 4 * arguments.d_model,
        heads=arguments.heads or max(1, arguments.d_model // 64),
        vocabulary=arguments.vocabulary,
        positions=arguments.positions,
        seed=arguments.seed,
    )


def main(argv: list[str] | None = None) -> int:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to write the checkpoint")
    add_shape_arguments(parser)
    arguments = parser.parse_args(argv)
    print(write_checkpoint(arguments.folder, shape_from_arguments(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
