"""Fetch the files of one checkpoint from the Hugging Face hub, and only those that are needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.checkpoint.tokenizer_names import TOKENIZER_FILES
from pegasus_export.errors import CheckpointError
from pegasus_runtime.hub.client import explain_failure, import_hub

__all__ = ["download_checkpoint"]

_SMALL_FILES: Final = (
    "config.json",
    "generation_config.json",
    *TOKENIZER_FILES,
)
# File and index of each form of the weights, in the order in which they are looked for: what
# transformers takes by itself, variants of it, and what its other classes wrote.
_FORMATS: Final = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
    ("model.fp16.safetensors", "model.safetensors.index.fp16.json"),
    ("model.bf16.safetensors", "model.safetensors.index.bf16.json"),
    ("pytorch_model.fp16.bin", "pytorch_model.bin.index.fp16.json"),
    ("flax_model.msgpack", "flax_model.msgpack.index.json"),
    ("tf_model.h5", "tf_model.h5.index.json"),
)
_ADAPTER: Final = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")


def download_checkpoint(repo_id: str, revision: str | None = None) -> Path:
    """Download config, tokenizer and one form of the weights; return their folder in the cache.

    Safetensors are preferred to .bin, and those to variants and to copies for Flax and TensorFlow;
    what else there is stays where it is. Of an adapter's repository its settings and weights come.
    Without a connection, or with HF_HUB_OFFLINE=1, an earlier download is used. HF_ENDPOINT,
    HF_HOME and HF_TOKEN mean what they mean to huggingface_hub. Raises CheckpointError.
    """
    folder = _fetch(repo_id, revision, (*_SMALL_FILES, _ADAPTER[0], *_FORMATS[0]))
    commit = folder.name  # later calls stay with the commit of the first
    if not (folder / "config.json").is_file():
        if not (folder / _ADAPTER[0]).is_file():
            raise CheckpointError(
                f"{repo_id} has no config.json: choose a repository of a checkpoint"
            )
        for name in _ADAPTER[1:]:
            if (_fetch(repo_id, commit, [name]) / name).is_file():
                break
        return folder
    if _fetch_shards(repo_id, commit, folder, _FORMATS[0]):
        return folder
    for names in _FORMATS[1:]:
        _fetch(repo_id, commit, names)
        if _fetch_shards(repo_id, commit, folder, names):
            return folder
    return folder


def _fetch_shards(repo_id: str, commit: str, folder: Path, names: tuple[str, str]) -> bool:
    """Fetch what the index lists, unless the weights are one file; False if there is neither."""
    single, index = (folder / name for name in names)
    if single.is_file():
        return True
    if not index.is_file():
        return False
    try:
        shards = sorted(set(read_json_object(index)["weight_map"].values()))
    except (CheckpointError, KeyError, TypeError, AttributeError) as err:
        raise CheckpointError(
            f"{repo_id} has a damaged {index.name} ({err}): choose another revision"
        ) from err
    _fetch(repo_id, commit, [str(shard) for shard in shards])
    return True


def _fetch(repo_id: str, revision: str | None, names: Sequence[str]) -> Path:
    """Download the named files where the repository has them, and return their folder."""
    huggingface_hub = import_hub()
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(
            huggingface_hub.snapshot_download(
                repo_id, revision=revision, allow_patterns=list(names)
            )
        )
    except HFValidationError as err:
        raise CheckpointError(
            f"{repo_id!r} is neither a folder here nor a hub id: give a path or 'owner/name'"
        ) from err
    # The HTTP library under huggingface_hub changes between its versions, its errors with it.
    except Exception as err:
        raise CheckpointError(explain_failure(repo_id, revision, err)) from err
