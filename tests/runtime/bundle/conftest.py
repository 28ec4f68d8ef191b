"""An example manifest, and a bundle folder that fits it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pegasus_runtime.bundle import (
    AddedToken,
    Architecture,
    FileRecord,
    GraphSpec,
    Limits,
    Manifest,
    Source,
    TableSpec,
    TensorSpec,
    TokenIds,
    TokenizerSpec,
    dump_manifest,
)

CONTENTS: Mapping[str, bytes] = {
    "encoder.onnx": b"encoder",
    "weights/model.bin": b"\0" * 1000,
    "spiece.model": b"pieces",
}


@pytest.fixture
def contents() -> Mapping[str, bytes]:
    """Relative path -> bytes of the example bundle's files."""
    return CONTENTS


@pytest.fixture
def manifest() -> Manifest:
    """A manifest that uses every field, its files recorded."""
    return Manifest(
        task="summarization",
        target="ort",
        precision="int8",
        recipe={"weights": "per channel", "skip": ["lm_head"], "scale": 0.5},
        architecture=Architecture(
            model_type="bigbird_pegasus",
            architecture="BigBirdPegasusForConditionalGeneration",
            vocab_size=96103,
            d_model=1024,
            encoder_layers=16,
            decoder_layers=1,
            encoder_heads=16,
            decoder_heads=16,
            head_dim=64,
            max_position_embeddings=4096,
            attention_type="block_sparse",
            block_size=64,
            num_random_blocks=3,
            random_blocks="hf-eval",
        ),
        graphs={
            "encoder": GraphSpec(
                file="encoder.onnx",
                inputs=(TensorSpec(name="input_ids", dtype="int64", shape=("batch", "source")),),
                outputs=(
                    TensorSpec(name="cross_key.0", dtype="float32", shape=("batch", 16, "s", 64)),
                    TensorSpec(name="step", dtype="int32", shape=()),
                ),
            )
        },
        tables={
            "model.shared.int8": TableSpec(
                file="weights/model.bin",
                offset=0,
                dtype="int8",
                shape=(31, 32),
                graphs=("encoder",),
            )
        },
        tokenizer=TokenizerSpec(
            file="spiece.model",
            offset=0,
            added_tokens=(AddedToken(content="<sep>", token_id=96103, normalized=True),),
        ),
        token_ids=TokenIds(
            pad_token_id=0, eos_token_ids=(1,), decoder_start_token_id=2, bos_token_id=2
        ),
        generation={"num_beams": 5, "length_penalty": 0.8, "early_stopping": False},
        limits=Limits(max_source_tokens=4096, max_target_tokens=256, max_beams=8, max_batch=None),
        source=Source(name="google/bigbird-pegasus-large-arxiv", sha256="0" * 64),
        tools={"torch": "2.13.0"},
        verification={"encoder": {"max_abs_error": 3.8e-6}, "tokens_equal": True},
        files={
            name: FileRecord(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in CONTENTS.items()
        },
    )


@pytest.fixture
def bare_manifest(manifest: Manifest) -> Manifest:
    """The example manifest as an exporter hands it over: no files yet."""
    return replace(manifest, files={})


@pytest.fixture
def folder(tmp_path: Path, manifest: Manifest) -> Path:
    """The example bundle on disk."""
    folder = tmp_path / "bundle"
    for name, data in CONTENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_text(dump_manifest(manifest), encoding="utf-8")
    return folder
