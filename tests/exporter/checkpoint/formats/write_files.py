"""Writes what lies in `written`: one tiny model of each family, by the libraries that users have.

`python write_files.py torch`, with transformers 5: the models themselves, as torch has them.
`python write_files.py others`, with transformers 4.49, tensorflow-cpu 2.18, tf-keras 2.18, flax 0.9
and jax 0.4.34: what TFPegasus, FlaxPegasus and tf.compat.v1.train.Saver make of them. The Saver is
given the variables that google-research/pegasus and google-research/bigbird name, with those of
their optimizer, and zeros for biases that BigBird may have.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WRITTEN = Path(__file__).parent / "written"
LAYERS = {"encoder": 2, "decoder": 1}
FIELDS = {
    "vocab_size": 24,
    "d_model": 8,
    "encoder_layers": LAYERS["encoder"],
    "decoder_layers": LAYERS["decoder"],
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 20,
    "max_position_embeddings": 16,
}


def write_torch() -> None:
    import torch
    import transformers

    library: Any = transformers
    torch.manual_seed(0)
    sparse = {"block_size": 4, "num_random_blocks": 1}
    models = {
        "pegasus": library.PegasusForConditionalGeneration(library.PegasusConfig(**FIELDS)),
        "bigbird": library.BigBirdPegasusForConditionalGeneration(
            library.BigBirdPegasusConfig(**FIELDS, **sparse)
        ),
    }
    for family, model in models.items():
        with torch.no_grad():
            for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
                if "embed_positions" not in name:
                    tensor.copy_(torch.randn(tensor.shape))
            if family == "bigbird":  # the original has one table for both
                positions = torch.randn(model.model.encoder.embed_positions.weight.shape)
                model.model.encoder.embed_positions.weight.copy_(positions)
                model.model.decoder.embed_positions.weight.copy_(positions)
        model.save_pretrained(WRITTEN / family)
        (WRITTEN / family / "generation_config.json").unlink()


def write_others() -> None:
    import transformers

    library: Any = transformers
    source = WRITTEN / "pegasus"
    keras = library.TFPegasusForConditionalGeneration.from_pretrained(source)
    _save(keras, "h5", safe_serialization=False)
    _save(keras, "h5-sharded", safe_serialization=False, max_shard_size="6KB")
    _save(library.TFPegasusModel.from_pretrained(source), "h5-base", safe_serialization=False)
    flax = library.FlaxPegasusForConditionalGeneration.from_pretrained(source)
    _save(flax, "flax")
    _save(flax, "flax-sharded", max_shard_size="6KB")
    flax.params = flax.to_bf16(flax.params)
    _save(flax, "flax-bfloat16")
    _save(library.FlaxPegasusModel.from_pretrained(source), "flax-base")
    _write_tf1("pegasus", dict(_pegasus_names()))
    _write_tf1("bigbird", dict(_bigbird_names()))


def _save(model: Any, name: str, **options: Any) -> None:
    """Keeps the weights alone: the configuration is the torch model's."""
    folder = WRITTEN / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, **options)
    for path in folder.glob("*.json"):
        if not path.name.endswith(".index.json"):
            path.unlink()


def _pegasus_names() -> Iterator[tuple[str, str]]:
    """Each variable of google-research/pegasus, and the tensor that it is in torch."""
    yield "embeddings/weights", "model.shared.weight"
    for stack, layers in LAYERS.items():
        yield from _norm(f"{stack}/LayerNorm", f"model.{stack}.layer_norm")
        for layer in range(layers):
            theirs, ours = f"{stack}/layer_{layer}", f"model.{stack}.layers.{layer}"
            attentions = {"self_attention": "self_attn"}
            if stack == "decoder":
                attentions["memory_attention"] = "encoder_attn"
            for their, our in attentions.items():
                for theirs_x, ours_x in zip(
                    ("q", "k", "v", "output"), ("q", "k", "v", "out"), strict=True
                ):
                    kernel = f"{theirs}/{their}/{theirs_x}_proj/kernel"
                    yield kernel, f"{ours}.{our}.{ours_x}_proj.weight"
                yield from _norm(f"{theirs}/{their}/LayerNorm", f"{ours}.{our}_layer_norm")
            yield from _norm(f"{theirs}/ffn/LayerNorm", f"{ours}.final_layer_norm")
            yield from _dense(f"{theirs}/ffn/dense", f"{ours}.fc1")
            yield from _dense(f"{theirs}/ffn/dense_1", f"{ours}.fc2")


def _bigbird_names() -> Iterator[tuple[str, str]]:
    """Each variable of google-research/bigbird, and the tensor that it is in torch."""
    yield "pegasus/embeddings/word_embeddings", "model.shared.weight"
    yield "pegasus/embeddings/position_embeddings", "model.encoder.embed_positions.weight"
    for stack, layers in LAYERS.items():
        yield from _norm(f"pegasus/{stack}/LayerNorm", f"model.{stack}.layernorm_embedding")
        for layer in range(layers):
            theirs, ours = f"pegasus/{stack}/layer_{layer}", f"model.{stack}.layers.{layer}"
            is_encoder = stack == "encoder"
            for x in ("query", "key", "value"):
                our = f"self.{x}" if is_encoder else f"{x[0]}_proj"
                yield f"{theirs}/attention/self/{x}/kernel", f"{ours}.self_attn.{our}.weight"
                if not is_encoder:
                    kernel = f"{theirs}/attention/encdec/{x}/kernel"
                    yield kernel, f"{ours}.encoder_attn.{x[0]}_proj.weight"
            our = "output" if is_encoder else "out_proj"
            yield f"{theirs}/attention/output/dense/kernel", f"{ours}.self_attn.{our}.weight"
            yield from _norm(f"{theirs}/attention/self/LayerNorm", f"{ours}.self_attn_layer_norm")
            if not is_encoder:
                kernel = f"{theirs}/attention/encdec_output/dense/kernel"
                yield kernel, f"{ours}.encoder_attn.out_proj.weight"
                norm = f"{theirs}/attention/encdec/LayerNorm"
                yield from _norm(norm, f"{ours}.encoder_attn_layer_norm")
            yield from _norm(f"{theirs}/intermediate/LayerNorm", f"{ours}.final_layer_norm")
            yield from _dense(f"{theirs}/intermediate/dense", f"{ours}.fc1")
            yield from _dense(f"{theirs}/output/dense", f"{ours}.fc2")


def _norm(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    yield f"{theirs}/gamma", f"{ours}.weight"
    yield f"{theirs}/beta", f"{ours}.bias"


def _dense(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    yield f"{theirs}/kernel", f"{ours}.weight"
    yield f"{theirs}/bias", f"{ours}.bias"


def _write_tf1(family: str, names: dict[str, str]) -> None:
    import numpy as np
    import tensorflow.compat.v1 as tf
    from safetensors.numpy import load_file

    tensors = load_file(WRITTEN / family / "model.safetensors")
    values: dict[str, Any] = {"global_step": np.int64(7)}
    for variable, name in names.items():
        value = tensors[name].T if variable.endswith("kernel") else tensors[name]
        values[variable] = value
        values[f"{variable}/Adafactor"] = np.ones(value.shape[-1], np.float32)
        values[f"{variable}/Adafactor_1"] = np.ones(value.shape[0], np.float32)
        if family == "bigbird" and "attention" in variable and variable.endswith("kernel"):
            values[variable.replace("kernel", "bias")] = np.zeros(value.shape[-1], np.float32)
    folder = WRITTEN / f"tf1-{family}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.Variable(value, name=name) for name, value in values.items()]
        session.run([variable.initializer for variable in variables])
        saver = tf.train.Saver(variables)
        saver.save(session, str(folder / "model.ckpt"), global_step=7, write_meta_graph=False)
    (folder / "checkpoint").unlink()


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    {"torch": write_torch, "others": write_others}[sys.argv[1]]()
