"""A source checkpoint: which files it has, what they describe, and their fingerprint."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Final, Literal

from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.config import PegasusConfig, read_config
from pegasus_export.checkpoint.config_fields import read_config_fields
from pegasus_export.checkpoint.generation import read_generation
from pegasus_export.checkpoint.hub import download_checkpoint
from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.errors import CheckpointError, UnsupportedError

__all__ = [
    "Checkpoint",
    "WeightFiles",
    "combine_hashes",
    "find_weight_files",
    "hash_files",
    "hash_source",
    "open_checkpoint",
]

_WEIGHT_NAMES: Final[tuple[tuple[str, Literal["safetensors", "bin"]], ...]] = (
    ("model.safetensors", "safetensors"),
    ("model.safetensors.index.json", "safetensors"),
    ("pytorch_model.bin", "bin"),
    ("pytorch_model.bin.index.json", "bin"),
)
_FOREIGN_WEIGHTS: Final = ("flax_model.msgpack", "tf_model.h5", "model.ckpt.index", "checkpoint")
_HASH_BLOCK_BYTES: Final = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFiles:
    """The files that hold a checkpoint's weights; index lists the shards where there are several.

    `shards` maps each file to the tensor names that the index promises there (none without index).
    """

    format: Literal["safetensors", "bin"]
    index: Path | None
    shards: Mapping[Path, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint folder whose config has been read and checked; its weights are not read yet.

    `generation` holds the checkpoint's own generation settings under transformers' names, and only
    those that it sets. `spiece` is the sentencepiece model, None where the folder has none.
    """

    name: str
    folder: Path
    model_type: str
    architecture: str
    config: PegasusConfig
    generation: Mapping[str, object]
    weights: WeightFiles
    spiece: Path | None


def open_checkpoint(model: str, *, revision: str | None = None) -> Checkpoint:
    """Open a local folder, or download a Hugging Face hub id such as "google/pegasus-xsum".

    model is a folder if it exists, is absolute, starts with "." or "~", or has more than one "/".
    Raises CheckpointError if it cannot be used, UnsupportedError for another architecture.
    """
    if not model:
        raise CheckpointError("the model is '', expected a checkpoint folder or a hub id: name one")
    folder = Path(os.path.expanduser(model))
    if not (os.path.exists(folder) or _looks_like_path(model)):
        return _read_checkpoint(download_checkpoint(model, revision), name=model)
    if revision is not None:
        raise UnsupportedError(
            f"{model} is a local folder, got revision {revision}: leave the revision out"
        )
    if not os.path.isdir(folder):
        got = "is a file" if os.path.exists(folder) else "does not exist"
        raise CheckpointError(f"{model} {got}, expected a checkpoint folder: check the path")
    return _read_checkpoint(folder, name=model)


def _looks_like_path(model: str) -> bool:
    return (
        os.path.isabs(model)
        or model.startswith((".", "~"))
        or model.count("/") > 1
        or "\\" in model
    )


def _read_checkpoint(folder: Path, *, name: str) -> Checkpoint:
    """Read and check the small files of a checkpoint folder."""
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise CheckpointError(
            f"{folder} has no config.json: give the folder that save_pretrained wrote"
        )
    fields = read_config_fields(config_path).values
    architecture = _check_architecture(fields, config_path)
    generation = read_generation(folder, fields)
    spiece = folder / "spiece.model"
    return Checkpoint(
        name=name,
        folder=folder,
        model_type=fields["model_type"],
        architecture=architecture,
        config=read_config(config_path),
        generation=generation,
        weights=find_weight_files(folder),
        spiece=spiece if spiece.is_file() else None,
    )


def _check_architecture(fields: Mapping[str, Any], path: Path) -> str:
    """The architecture; a config without one is taken for what transformers would load."""
    model_type, names = fields.get("model_type"), fields.get("architectures")
    offered = [name for name, parts in ARCHITECTURES.items() if parts.model_type == model_type]
    if not offered:
        expected = " or ".join(dict.fromkeys(repr(x.model_type) for x in ARCHITECTURES.values()))
        raise UnsupportedError(
            f"{path} has model_type {model_type!r}, expected {expected}: "
            "choose a PEGASUS checkpoint"
        )
    if names is None or names == []:
        return offered[0]
    if not isinstance(names, list) or len(names) != 1 or names[0] not in offered:
        raise UnsupportedError(
            f"{path} has architectures {names!r}, expected one of {', '.join(offered)}"
        )
    return str(names[0])


def find_weight_files(folder: Path) -> WeightFiles:
    """Choose the weights to read: safetensors before .bin, one file before shards.

    Raises CheckpointError if there are none, or an index names a file that is not in the folder.
    """
    for name, weights_format in _WEIGHT_NAMES:
        path = folder / name
        if not path.is_file():
            continue
        if path.suffix != ".json":
            return WeightFiles(format=weights_format, index=None, shards={path: ()})
        return WeightFiles(format=weights_format, index=path, shards=_read_index(path))
    foreign = [name for name in _FOREIGN_WEIGHTS if (folder / name).is_file()]
    if foreign:
        raise CheckpointError(
            f"{folder} has only Flax or TensorFlow weights ({', '.join(foreign)}): convert them "
            "with transformers 4, from_pretrained(..., from_flax=True or from_tf=True) and then "
            "save_pretrained"
        )
    raise CheckpointError(
        f"{folder} has no weights, expected one of {', '.join(name for name, _ in _WEIGHT_NAMES)}: "
        "complete the download"
    )


def _read_index(index: Path) -> dict[Path, tuple[str, ...]]:
    """Shard -> the tensors it holds, in the order of the index."""
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map: download it again")
    names_of: dict[Path, list[str]] = {}
    for tensor, file in weight_map.items():
        # PureWindowsPath splits at both slashes and knows drives. Hub caches hold links to files
        # elsewhere, so that the links themselves cannot be checked.
        if not isinstance(file, str) or PureWindowsPath(file).name != file or file in ("", ".."):
            raise CheckpointError(
                f"{index} sends {tensor} to {file!r}, expected a file beside the index: "
                "do not use this checkpoint"
            )
        names_of.setdefault(index.parent / file, []).append(tensor)
    missing = [path.name for path in names_of if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"{index} names {len(missing)} files that are missing, the first is {missing[0]}: "
            "complete the download"
        )
    return {path: tuple(names) for path, names in names_of.items()}


def hash_source(checkpoint: Checkpoint) -> str:
    """SHA-256 in hexadecimal that identifies config, generation settings, weights and tokenizer."""
    return combine_hashes(hash_files(checkpoint))


def combine_hashes(digests: Mapping[str, str]) -> str:
    """One SHA-256 over file names and their digests, whatever their order."""
    lines = (f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def hash_files(checkpoint: Checkpoint) -> dict[str, str]:
    """SHA-256 in hexadecimal of each source file, by name; raises CheckpointError if unreadable."""
    folder, weights = checkpoint.folder, checkpoint.weights
    optional = [folder / "generation_config.json", folder / "spiece.model"]
    paths = [folder / "config.json", *(path for path in optional if path.is_file())]
    paths += [*weights.shards, *([weights.index] if weights.index else [])]
    return {path.name: _hash_file(path) for path in sorted(paths)}


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    block = memoryview(bytearray(_HASH_BLOCK_BYTES))
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(block):
                digest.update(block[:count])
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the disk, or download it again"
        ) from err
    return digest.hexdigest()
