"""A source checkpoint: which files it has, what they describe, and their fingerprint."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.config import PegasusConfig, read_config, read_json_object
from pegasus_export.checkpoint.hub import download_checkpoint
from pegasus_export.checkpoint.weight_files import WeightFiles, find_weight_files
from pegasus_export.errors import CheckpointError, UnsupportedError

__all__ = [
    "Checkpoint",
    "combine_hashes",
    "hash_files",
    "hash_source",
    "open_checkpoint",
]

# What transformers reads from a config.json that has no generation_config.json beside it.
_GENERATION_KEYS: Final = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "pad_token_id",
    "remove_invalid_values",
    "repetition_penalty",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
)

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
    notes: list[str] = field(default_factory=list)
    """What was chosen or left out where a user may wonder; whoever reads on adds theirs."""


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
    fields = read_json_object(config_path)
    architecture = _check_architecture(fields, config_path)
    generation = _read_generation(folder, fields)
    spiece = folder / "spiece.model"
    return Checkpoint(
        name=name,
        folder=folder,
        model_type=fields["model_type"],
        architecture=architecture,
        config=read_config(config_path, generation),
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


def _read_generation(folder: Path, config_fields: Mapping[str, Any]) -> dict[str, object]:
    path = folder / "generation_config.json"
    if path.is_file():
        settings = read_json_object(path)
    else:
        settings = {key: config_fields[key] for key in _GENERATION_KEYS if key in config_fields}
    for key in ("transformers_version", "_from_model_config"):
        settings.pop(key, None)
    return {key: value for key, value in settings.items() if value is not None}


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
