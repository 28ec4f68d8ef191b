"""Folders and files that people give for a checkpoint: each message names it and says what to do.

Each row of FOLDERS is what is in the folder, and what the message must say.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import CheckpointError, ExportError, UnsupportedError

Entries = dict[str, bytes]

_EMPTY: Entries = {}
_CONFIG = json.dumps({"model_type": "pegasus"}).encode()
_PLANS = json.dumps({"schema_version": 3, "plans": {"version": None}}).encode()
_BUNDLE = json.dumps({"schema_version": 3, "source": {"name": "google/pegasus-xsum"}}).encode()
_STATE = json.dumps({"best_model_checkpoint": "out/checkpoint-20"}).encode()
FOLDERS: dict[str, tuple[Entries, str]] = {
    "empty": (_EMPTY, "is empty: check the path, or download the checkpoint again"),
    "bundle": (
        {"manifest.json": _BUNDLE, "encoder.onnx": b"x"},
        r"is a bundle that pegasus-export wrote: pegasus-summarize runs it; .* \(google/pegasus-x",
    ),
    "bundle-of-prompts": (
        {"manifest.json": b'{"schema_version": 6, "task": "text-generation"}'},
        r"is a bundle that pegasus-export wrote: pegasus-generate runs it; ",
    ),
    "graphs": ({"manifest.json": _PLANS}, "is a bundle of graphs: pegasus-build makes its plans"),
    "adapter": ({"adapter_model.bin": b"x"}, r"weights without adapter_config\.json: complete"),
    "output_dir": (
        {"checkpoint-20/config.json": b"{}", "checkpoint-100/config.json": b"{}", "runs/x": b""},
        r"is a Trainer's output folder: give one of its checkpoints, such as .*/checkpoint-100$",
    ),
    "output_dir-best": (
        {"checkpoint-100/trainer_state.json": _STATE},
        r"such as .*/checkpoint-100, or the best, out/checkpoint-20$",
    ),
    "models--google--pegasus-xsum": (
        {"snapshots/0a1b/config.json": b"{}", "refs/main": b"0a1b"},
        r"cache of the hub's google/pegasus-xsum: give .*/snapshots/0a1b, or --model google/pegas",
    ),
    "models--a--b": ({"refs/main": b"x"}, "give a/b, which is not complete there"),
    "hub": (
        {"models--google--pegasus-xsum/refs/main": b"x"},
        "is a cache of the hub: give a hub id, such as google/pegasus-xsum",
    ),
    "renamed-cache": ({"snapshots/x": b"", "refs/x": b""}, "give a folder of its snapshots"),
    "optimum": (
        {"config.json": _CONFIG, "encoder_model.onnx": b"x"},
        "holds ONNX graphs, as Optimum exports them: give the PyTorch checkpoint that",
    ),
    "onnx-inside": ({"config.json": _CONFIG, "onnx/model.onnx": b"x"}, "holds ONNX graphs"),
    "ctranslate2": (
        {"config.json": b"{}", "model.bin": b"\x06\0\0\0", "shared_vocabulary.json": b"[]"},
        "holds a CTranslate2 model: give the PyTorch checkpoint that it was made from",
    ),
    "ctranslate2-alone": ({"config.json": _CONFIG, "model.bin": b"\x06\0"}, "a CTranslate2 model"),
    "openvino": (
        {"config.json": _CONFIG, "openvino_model.xml": b"x", "openvino_model.bin": b"x"},
        "holds an OpenVINO model",
    ),
    "tensorrt": ({"encoder.engine": b"x"}, "holds TensorRT engines"),
    "gguf": ({"model-q4.gguf": b"GGUF"}, "holds a GGUF file, whose weights are quantised"),
    "saved-model": ({"saved_model.pb": b"x", "variables/x": b""}, "a TensorFlow SavedModel, a"),
    "tflite": ({"model.tflite": b"x"}, "holds a TensorFlow Lite model"),
    "coreml": ({"pegasus.mlpackage/x": b"x"}, "holds a Core ML model"),
    "paddle": ({"config.json": _CONFIG, "model_state.pdparams": b"x"}, "weights of PaddlePaddle"),
    "rust": ({"config.json": _CONFIG, "rust_model.ot": b"x"}, "weights of rust-bert"),
    "nemo": ({"pegasus.nemo": b"x"}, "holds a NeMo model"),
    "deepspeed": (
        {"config.json": _CONFIG, "zero_to_fp32.py": b"", "global_step5/x": b""},
        r"holds DeepSpeed's shards: run `python zero_to_fp32\.py",
    ),
    "fsdp": ({"pytorch_model_fsdp_0/x.distcp": b""}, "run `accelerate merge-weights`"),
    "sentences": ({"modules.json": b"[]", "0_x/config.json": b"{}"}, "sentence-transformers model"),
    "diffusers": ({"model_index.json": b"{}", "unet/config.json": b"{}"}, "a diffusers pipeline"),
    "tf1": (
        {"model.ckpt-9.index": b"x", "checkpoint": b"x"},
        r"is a TF1 checkpoint without config\.json: put the config\.json and the spiece\.model",
    ),
    "no-config": (
        {"model.safetensors": b"x", "spiece.model": b"x"},
        r"has weights but no config\.json: copy the config\.json of the model that it was trained",
    ),
    "tokenizer": (
        {"spiece.model": b"x", "tokenizer_config.json": b"{}"},
        r"has only a tokenizer, neither config\.json nor weights: give the folder that model\.save",
    ),
    "vocabulary": ({"vocab.txt": b"[PAD]"}, "has only a tokenizer"),
    "outer": ({"tiny/config.json": b"{}", "x.log": b""}, "a folder of its own: give .*/outer/tiny"),
    "outer-2": (
        {"a/config.json": b"{}", "b/adapter_config.json": b"{}"},
        "has 2 folders with checkpoints: give one of them, such as .*/outer-2/a",
    ),
    "archive": ({"pegasus.tar.gz": b"x"}, "has an archive and no checkpoint: unpack it"),
    "unknown": ({"notes.doc": b"x"}, r"has no config\.json: give the folder that save_pretrained"),
}


def _write(folder: Path, entries: Entries) -> Path:
    folder.mkdir()
    for name, content in entries.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_called_what_it_is(tmp_path: Path, kind: str) -> None:
    entries, expected = FOLDERS[kind]
    # A config.json is one of a checkpoint that has everything but its weights.
    whole = write_tiny_checkpoint(tmp_path / "whole") if entries.get("config.json") else None
    folder = _write(tmp_path / kind, entries)
    if whole is not None and entries["config.json"] == _CONFIG:
        shutil.copyfile(whole / "config.json", folder / "config.json")
    with pytest.raises(ExportError, match=expected) as caught:
        open_checkpoint(str(folder))
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.safetensors", "is one file of a checkpoint, expected the folder: give /"),
        ("pytorch_model.bin", "is one file of a checkpoint"),
        ("config.json", "is one file of a checkpoint"),
        ("spiece.model", "is one file of a checkpoint"),
        ("tf_model.h5", "is one file of a checkpoint"),
        ("adapter_model.safetensors", "of an adapter, expected its folder: give --model BASE --a"),
        ("manifest.json", "is one file of a bundle: pegasus-summarize runs its folder, /"),
        ("model.onnx", "is an ONNX graph, expected a checkpoint folder: give the PyTorch"),
        ("pegasus-q4.gguf", "is a GGUF file, whose weights are quantised"),
        ("pegasus.zip", "is an archive, expected a folder: unpack it"),
        ("pegasus.tar.gz", "is an archive, expected a folder: unpack it"),
        ("last.ckpt", r"is a training loop's file, expected a folder: put it into one as pytorch_"),
        ("article.txt", "is a text, expected a checkpoint folder: pegasus-summarize reads texts"),
        ("what", "is a file, expected a checkpoint folder: check the path"),
    ],
)
def test_a_file_is_called_what_it_is(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=expected):
        open_checkpoint(str(tmp_path / name))


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes, 4 bits"),
        ({"load_in_8bit": True}, "bitsandbytes, 8 bits"),
        ({"quant_method": "gptq", "bits": 4}, "gptq, 4 bits"),
        ({"quant_method": "awq", "bits": 4}, "awq, 4 bits"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "torchao"}, "torchao"),
        ({"x": 1}, "unknown method"),
        (["odd"], "by its quantization_config"),
    ],
)
def test_a_quantised_checkpoint_is_refused_by_its_method(
    tmp_path: Path, settings: object, method: str
) -> None:
    write_tiny_checkpoint(tmp_path)
    path = tmp_path / "config.json"
    fields: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"quantization_config": settings}))
    with pytest.raises(UnsupportedError, match=rf"has quantised weights \({method}\), expected"):
        open_checkpoint(str(tmp_path))


def test_a_trainers_own_files_are_never_opened(tmp_path: Path) -> None:
    write_tiny_checkpoint(tmp_path)
    names = ("optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin", "scaler.pt")
    for name in names:
        os.mkfifo(tmp_path / name)  # whoever opens it waits for ever
    assert not open_checkpoint(str(tmp_path)).notes


_Change = Callable[[Path], object]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize(
    "change", [lambda folder: folder.chmod(0), lambda folder: (folder / "config.json").chmod(0)]
)
def test_a_folder_that_may_not_be_read_says_so(tmp_path: Path, change: _Change) -> None:
    folder = write_tiny_checkpoint(tmp_path / "closed")
    change(folder)
    with pytest.raises(CheckpointError, match=r"cannot be read \(Permission denied\): check"):
        open_checkpoint(str(folder))
    folder.chmod(0o755)
