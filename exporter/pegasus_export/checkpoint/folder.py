"""A source checkpoint: which files it has, what they describe, and their fingerprint."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pegasus_export.checkpoint.adapter import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    Adapter,
    read_adapter,
)
from pegasus_export.checkpoint.architectures import find_architecture
from pegasus_export.checkpoint.config import PegasusConfig, read_config
from pegasus_export.checkpoint.config_fields import read_config_fields
from pegasus_export.checkpoint.generation import read_generation
from pegasus_export.checkpoint.hub import download_checkpoint
from pegasus_export.checkpoint.locate import locate_model, suggest_folder
from pegasus_export.checkpoint.quantised import check_is_not_quantised
from pegasus_export.checkpoint.recognise import describe_folder
from pegasus_export.checkpoint.stand_ins import read_start
from pegasus_export.checkpoint.weight_files import WeightFiles, find_weight_files
from pegasus_export.errors import CheckpointError, UnsupportedError

__all__ = [
    "Checkpoint",
    "combine_hashes",
    "hash_files",
    "hash_source",
    "open_checkpoint",
]

_HASH_BLOCK_BYTES: Final = 1 << 22


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
    adapter: Adapter | None = None
    """To be merged onto the weights."""
    notes: list[str] = field(default_factory=list)
    """What was chosen or left out where a user may wonder; whoever reads on adds theirs."""


def open_checkpoint(
    model: str, *, revision: str | None = None, adapter: str | None = None
) -> Checkpoint:
    """Open a local folder, or download a Hugging Face hub id such as "google/pegasus-xsum".

    model is a folder if it exists, is absolute, starts with "." or "~", or has more than one "/".
    adapter: folder or hub id of a LoRA adapter to merge onto it; where the model itself is one, its
    base is what adapter_config.json names. Raises CheckpointError if it cannot be used,
    UnsupportedError for another architecture.
    """
    folder = _open_folder(model, revision)
    if adapter is not None:
        return _merge(_read_checkpoint(folder, name=model), _open_adapter(adapter), adapter)
    if (folder / ADAPTER_CONFIG).is_file() and not (folder / "config.json").is_file():
        own = read_adapter(folder)
        return _merge(_open_base(own, model), own, model)
    return _read_checkpoint(folder, name=model)


def _open_folder(model: str, revision: str | None) -> Path:
    location = locate_model(model, revision)
    if location.folder is not None:
        return location.folder
    try:
        return download_checkpoint(location.repo_id, location.revision)
    except CheckpointError as err:
        raise CheckpointError(f"{err}{suggest_folder(Path(model))}") from err


def _open_adapter(adapter: str) -> Adapter:
    folder = _open_folder(adapter, None)
    if not (folder / ADAPTER_CONFIG).is_file():
        raise CheckpointError(
            f"{adapter} has no {ADAPTER_CONFIG}, expected the folder that peft's save_pretrained "
            "wrote: check --adapter"
        )
    return read_adapter(folder)


def _open_base(adapter: Adapter, name: str) -> Checkpoint:
    """What an adapter says that it was trained on."""
    give = f"give it yourself, --model BASE --adapter {name}"
    if adapter.base is None:
        raise CheckpointError(f"{name} is a LoRA adapter that names no base: {give}")
    is_here = os.path.exists(os.path.expanduser(adapter.base))
    try:
        folder = _open_folder(adapter.base, None if is_here else adapter.revision)
        base = _read_checkpoint(folder, name=adapter.base)
    except (CheckpointError, UnsupportedError) as err:
        raise CheckpointError(
            f"{name} is a LoRA adapter of {adapter.base}: {err}; or {give}"
        ) from err
    base.notes.append(f"{name} is an adapter: its base is {adapter.base}, as {ADAPTER_CONFIG} says")
    return base


def _merge(base: Checkpoint, adapter: Adapter, name: str) -> Checkpoint:
    base.notes.append(f"the adapter {name} is merged onto {base.name}, whose tokenizer is taken")
    return dataclasses.replace(base, name=f"{base.name} + {name}", adapter=adapter)


def _read_checkpoint(folder: Path, *, name: str) -> Checkpoint:
    """Read and check the small files of a checkpoint folder."""
    config_path = folder / "config.json"
    if not config_path.is_file():
        missing = "has no config.json: give the folder that save_pretrained wrote"
        raise CheckpointError(f"{folder} {describe_folder(folder) or missing}")
    fields = read_config_fields(config_path).values
    if "model_type" not in fields and (what := describe_folder(folder)):
        raise CheckpointError(f"{folder} {what}")
    architecture, notes = find_architecture(fields, config_path)
    check_is_not_quantised(fields, config_path)
    generation = read_generation(folder, fields)
    spiece = folder / "spiece.model"
    weights = find_weight_files(folder)
    for path in weights.shards:
        read_start(path, "weights")
    if spiece.is_file():
        read_start(spiece, "a tokenizer")
    return Checkpoint(
        name=name,
        folder=folder,
        model_type=fields["model_type"],
        architecture=architecture,
        config=read_config(config_path),
        generation=generation.values,
        weights=weights,
        spiece=spiece if spiece.is_file() else None,
        notes=[
            *notes,
            *generation.notes,
            *([weights.note] if weights.note else []),
            *_note_adapter(folder),
        ],
    )


def _note_adapter(folder: Path) -> list[str]:
    """A folder that holds a whole model and an adapter: nobody can know which is meant."""
    weights = [name for name, _ in ADAPTER_WEIGHTS if (folder / name).is_file()]
    if not (folder / ADAPTER_CONFIG).is_file():
        return []
    if weights:
        raise CheckpointError(
            f"{folder} holds a whole model and an adapter ({weights[0]}), expected one of them: "
            "move the adapter to a folder of its own, and give it with --adapter if it is meant"
        )
    return [f"{ADAPTER_CONFIG} is left alone: the folder holds a whole model and no adapter"]


def hash_source(checkpoint: Checkpoint) -> str:
    """SHA-256 in hexadecimal that identifies config, generation settings, weights and tokenizer."""
    return combine_hashes(hash_files(checkpoint))


def combine_hashes(digests: Mapping[str, str]) -> str:
    """One SHA-256 over file names and their digests, whatever their order."""
    lines = (f"{name} {digest}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def hash_files(checkpoint: Checkpoint) -> dict[str, str]:
    """SHA-256 in hexadecimal of each source file, by name; raises CheckpointError if unreadable."""
    folder = checkpoint.folder
    optional = [folder / "generation_config.json", folder / "spiece.model"]
    paths = [folder / "config.json", *(path for path in optional if path.is_file())]
    paths += checkpoint.weights.files
    paths += checkpoint.adapter.files if checkpoint.adapter is not None else ()
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
