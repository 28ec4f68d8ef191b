"""What a folder or a file is that is no checkpoint, and what to give instead.

`FOLDERS` are tried in their order on a folder that lacks something of a checkpoint; `FILES` on a
file that was given for one. Each message says what the thing is and what to do.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pegasus_export.checkpoint.json_object import max_json_bytes
from pegasus_runtime.tokenization.bounded_file import read_bounded

__all__ = ["describe_file", "describe_folder"]

_WEIGHTS: Final = re.compile(
    r"(model|pytorch_model|tf_model|flax_model).*\.(safetensors|bin|h5|msgpack)(\.index\.json)?"
)
_STEP: Final = re.compile(r"checkpoint-(\d+)")
_CACHE: Final = re.compile(r"models--(.+)")
_TOKENIZER: Final = frozenset(
    {
        "spiece.model",
        "tokenizer.json",
        "vocab.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
    }
)
_COMMANDS: Final = {
    "text-classification": "pegasus-classify",
    "question-answering": "pegasus-answer",
    "feature-extraction": "pegasus-features",
    "text-generation": "pegasus-generate",
}
_SAME_MODEL: Final = "of the model that it was trained from"


@dataclass(frozen=True, slots=True)
class _Listing:
    """A folder's entries."""

    folder: Path
    names: frozenset[str]

    def has(self, *patterns: str) -> bool:
        """Whether an entry is one of these, ends as `*.x` does, or begins as `x*`."""
        return any(_is_like(name, pattern) for name in self.names for pattern in patterns)


def _is_like(name: str, pattern: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def describe_folder(folder: Path) -> str | None:
    """`is … : do …`, to follow the folder's name; None for a folder that nothing is known of."""
    listing = _Listing(folder, frozenset(path.name for path in folder.iterdir()))
    return next((text for describe in _FOLDERS if (text := describe(listing))), None)


def describe_file(path: Path) -> str:
    """The same for a file."""
    name, suffixes = path.name, path.suffixes
    for names, text in _FILES.items():
        if any(name == each or each in suffixes for each in names):
            return text.replace("{parent}", str(path.parent))
    return "is a file, expected a checkpoint folder: check the path"


def _empty(listing: _Listing) -> str | None:
    return None if listing.names else "is empty: check the path, or download the checkpoint again"


def _bundle(listing: _Listing) -> str | None:
    """Ours: ready to run, or graphs that plans are still to be built of."""
    fields = _read_object(listing.folder / "manifest.json")
    if "schema_version" not in fields:
        return None
    source = fields.get("source")
    name = source.get("name") if isinstance(source, dict) else None
    again = f"; to export anew, give the checkpoint that it was made from ({name})"
    plans = fields.get("plans")
    if isinstance(plans, dict) and not plans.get("version"):
        return f"is a bundle of graphs: pegasus-build makes its plans{again}"
    command = _COMMANDS.get(str(fields.get("task")), "pegasus-summarize")
    return f"is a bundle that pegasus-export wrote: {command} runs it{again}"


def _adapter(listing: _Listing) -> str | None:
    if not listing.has("adapter_model.safetensors", "adapter_model.bin"):
        return None
    return "has an adapter's weights without adapter_config.json: complete the download"


def _trainer_output(listing: _Listing) -> str | None:
    matches = [match for name in listing.names if (match := _STEP.fullmatch(name)) is not None]
    steps = {int(match[1]): match[0] for match in matches}
    if not steps:
        return None
    newest = listing.folder / steps[max(steps)]
    best = _read_object(newest / "trainer_state.json").get("best_model_checkpoint")
    also = f", or the best, {best}" if isinstance(best, str) and best else ""
    return f"is a Trainer's output folder: give one of its checkpoints, such as {newest}{also}"


def _hub_cache(listing: _Listing) -> str | None:
    if match := _CACHE.fullmatch(listing.folder.name):
        commits = sorted((listing.folder / "snapshots").glob("*/config.json"))
        repo = match[1].replace("--", "/")
        give = str(commits[-1].parent) if commits else repo
        return f"is the cache of the hub's {repo}: give {give}" + (
            f", or --model {repo}" if commits else ", which is not complete there"
        )
    repos = [match[1] for name in sorted(listing.names) if (match := _CACHE.fullmatch(name))]
    if repos:
        return f"is a cache of the hub: give a hub id, such as {repos[0].replace('--', '/')}"
    if listing.has("snapshots") and listing.has("refs"):
        return "is a cache of the hub: give a folder of its snapshots"
    return None


def _other_format(listing: _Listing) -> str | None:
    for patterns, text in _OTHER_FORMATS:
        if listing.has(*patterns):
            return text
    if listing.has("model.bin") and not _is_torch_file(listing.folder / "model.bin"):
        return _CTRANSLATE2
    onnx = listing.folder / "onnx"
    if onnx.is_dir() and any(onnx.glob("*.onnx")) and not _has_weights(listing):
        return _OTHER_FORMATS[0][1]
    return None


def _parts(listing: _Listing) -> str | None:
    """A checkpoint of which something is missing."""
    if listing.has("config.json"):
        return None
    if any(re.fullmatch(r"model\.ckpt.*\.index", name) for name in listing.names):
        return (
            "is a TF1 checkpoint without config.json: put the config.json and the spiece.model "
            "of the same model's repository beside it, such as google/pegasus-xsum's"
        )
    if _has_weights(listing):
        return f"has weights but no config.json: copy the config.json {_SAME_MODEL} beside them"
    if listing.names & _TOKENIZER and not any(
        (listing.folder / name).is_dir() for name in listing.names
    ):
        return (
            "has only a tokenizer, neither config.json nor weights: give the folder that "
            "model.save_pretrained wrote"
        )
    return None


def _outer_folder(listing: _Listing) -> str | None:
    if listing.has("config.json"):
        return None
    inner = sorted(
        path.parent
        for name in ("config.json", "adapter_config.json")
        for path in listing.folder.glob(f"*/{name}")
    )
    if not inner:
        return None
    if len(inner) == 1:
        return f"has its checkpoint in a folder of its own: give {inner[0]}"
    return f"has {len(inner)} folders with checkpoints: give one of them, such as {inner[0]}"


def _archive(listing: _Listing) -> str | None:
    if listing.has("*.zip", "*.tar", "*.tar.gz", "*.tgz", "*.tar.bz2", "*.tar.xz", "*.7z"):
        return "has an archive and no checkpoint: unpack it, and give the folder that comes out"
    return None


def _has_weights(listing: _Listing) -> bool:
    return any(_WEIGHTS.fullmatch(name) for name in listing.names)


def _is_torch_file(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in (b"PK", b"\x80\x02")


def _read_object(path: Path) -> dict[str, object]:
    """Empty where there is no such file, or no JSON object in it."""
    try:
        content = json.loads(read_bounded(path, max_json_bytes(path)).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


_FROM_CHECKPOINT: Final = "give the PyTorch checkpoint that it was made from"
_CTRANSLATE2: Final = f"holds a CTranslate2 model: {_FROM_CHECKPOINT}"
# Entries that show it -> what it is and what to do.
_OTHER_FORMATS: Final[Sequence[tuple[tuple[str, ...], str]]] = (
    (("*.onnx",), f"holds ONNX graphs, as Optimum exports them: {_FROM_CHECKPOINT}"),
    (("shared_vocabulary*", "source_vocabulary*"), _CTRANSLATE2),
    (("openvino_*",), f"holds an OpenVINO model: {_FROM_CHECKPOINT}"),
    (("*.engine", "*.plan", "*.trt"), f"holds TensorRT engines: {_FROM_CHECKPOINT}"),
    (
        ("*.gguf", "*.ggml"),
        f"holds a GGUF file, whose weights are quantised or renamed: {_FROM_CHECKPOINT}",
    ),
    (
        ("saved_model.pb",),
        "holds a TensorFlow SavedModel, a program and no checkpoint: give the folder with the "
        "model.ckpt-* or tf_model.h5 that it was made from",
    ),
    (("*.tflite",), f"holds a TensorFlow Lite model: {_FROM_CHECKPOINT}"),
    (("*.mlpackage", "*.mlmodel"), f"holds a Core ML model: {_FROM_CHECKPOINT}"),
    (("*.pdparams",), f"holds weights of PaddlePaddle: {_FROM_CHECKPOINT}"),
    (("rust_model.ot",), f"holds weights of rust-bert: {_FROM_CHECKPOINT}"),
    (("*.nemo",), f"holds a NeMo model: {_FROM_CHECKPOINT}"),
    (
        ("zero_to_fp32.py", "*_model_states.pt"),
        "holds DeepSpeed's shards: run `python zero_to_fp32.py . pytorch_model.bin` in it first",
    ),
    (
        ("*.distcp", ".metadata", "pytorch_model_fsdp_0"),
        "holds shards of torch.distributed: run `accelerate merge-weights` on it first",
    ),
    (
        ("modules.json", "config_sentence_transformers.json"),
        "is a sentence-transformers model, which embeds sentences: choose a PEGASUS checkpoint",
    ),
    (("model_index.json",), "is a diffusers pipeline: choose a PEGASUS checkpoint"),
)
_FOLDERS: Final[Sequence[Callable[[_Listing], str | None]]] = (
    _empty,
    _bundle,
    _adapter,
    _trainer_output,
    _hub_cache,
    _other_format,
    _parts,
    _outer_folder,
    _archive,
)
_ITS_FOLDER: Final = "is one file of a checkpoint, expected the folder: give {parent}"
# By name or suffix, the first that fits.
_FILES: Final[Mapping[tuple[str, ...], str]] = {
    ("adapter_model.safetensors", "adapter_model.bin", "adapter_config.json"): (
        "is one file of an adapter, expected its folder: give --model BASE --adapter {parent}"
    ),
    ("manifest.json",): "is one file of a bundle: pegasus-summarize runs its folder, {parent}",
    (".onnx",): f"is an ONNX graph, expected a checkpoint folder: {_FROM_CHECKPOINT}",
    (".gguf", ".ggml"): (
        f"is a GGUF file, whose weights are quantised or renamed: {_FROM_CHECKPOINT}"
    ),
    (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z"): (
        "is an archive, expected a folder: unpack it, and give the folder that comes out"
    ),
    (".safetensors", ".bin", ".h5", ".msgpack", ".index", ".model", ".json"): _ITS_FOLDER,
    (".ckpt", ".pt", ".pth"): (
        "is a training loop's file, expected a folder: put it into one as pytorch_model.bin, "
        f"with the config.json and the tokenizer {_SAME_MODEL}"
    ),
    (".txt", ".md", ".jsonl", ".csv"): (
        "is a text, expected a checkpoint folder: pegasus-summarize reads texts"
    ),
}
