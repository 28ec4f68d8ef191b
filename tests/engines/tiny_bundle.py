"""A bundle of graphs that TensorRT builds in a second."""

from pathlib import Path

import numpy as np

from engines.tiny_graphs import SIZE, write_product
from pegasus_runtime.bundle import (
    Architecture,
    Bundle,
    GraphSpec,
    Limits,
    Manifest,
    PlanSpec,
    Source,
    TableSpec,
    Target,
    TensorSpec,
    TokenIds,
    TokenizerSpec,
    write_bundle,
)

PROFILE = {"batch": (1, 1, 1), "source": (8, 8, 8)}


def manifest_of(target: Target) -> Manifest:
    """Of two graphs, for TensorRT if the target is one of its."""
    shape = ("batch", "source", SIZE)
    return Manifest(
        task="summarization",
        target=target,
        precision="fp32",
        architecture=Architecture(
            model_type="pegasus",
            architecture="PegasusForConditionalGeneration",
            vocab_size=8,
            d_model=SIZE,
            encoder_layers=1,
            decoder_layers=1,
            encoder_heads=1,
            decoder_heads=1,
            head_dim=SIZE,
        ),
        graphs={
            name: GraphSpec(
                file=f"graphs/{name}.onnx",
                inputs=(TensorSpec(name="x", dtype="float32", shape=shape),),
                outputs=(TensorSpec(name="y", dtype="float32", shape=shape),),
            )
            for name in ("encoder", "decoder_step")
        },
        tables={
            "table": TableSpec(
                file="table.bin", offset=0, dtype="float32", shape=(8, SIZE), graphs=("encoder",)
            )
        },
        tokenizer=TokenizerSpec(file="spiece.model"),
        token_ids=TokenIds(pad_token_id=0, eos_token_ids=(1,), decoder_start_token_id=0),
        limits=Limits(max_source_tokens=8, max_target_tokens=8, max_beams=1, max_batch=1),
        source=Source(name="tiny", sha256="0" * 64),
        plans=None
        if target == "ort"
        else PlanSpec(num_beams=1, profiles=dict.fromkeys(("encoder", "decoder_step"), (PROFILE,))),
        tools={"onnx": "1.23"},
    )


def write_tiny_bundle(output: Path, manifest: Manifest) -> Bundle:
    """Two graphs with a weights file each, a table, a tokenizer, and a file nothing refers to."""
    with write_bundle(output) as staging:
        (staging.path / "graphs").mkdir()
        for name in ("encoder", "decoder_step"):
            weights = f"{name * 20}.bin" if name == "encoder" else "weights.bin"
            write_product(staging.path / "graphs" / f"{name}.onnx", weights=weights)
        np.ones((8, SIZE), np.float32).tofile(staging.path / "table.bin")
        (staging.path / "spiece.model").write_bytes(b"pieces")
        (staging.path / "NOTICE").write_text("keep me")
        return staging.commit(manifest)
