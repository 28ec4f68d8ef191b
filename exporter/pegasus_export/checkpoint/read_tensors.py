"""The tensors of a checkpoint's files by their canonical names, an adapter merged onto its base."""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import torch

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.formats.read import read_weight_file
from pegasus_export.checkpoint.lora import merge_lora
from pegasus_export.checkpoint.naming import count_names
from pegasus_export.checkpoint.quantised import find_quantised_tensors, refuse_quantised
from pegasus_export.checkpoint.tensor_names import canonical_names
from pegasus_export.checkpoint.weight_files import WeightFiles, WeightsFormat
from pegasus_export.errors import CheckpointError

__all__ = ["read_tensors"]

_UNMERGED: Final = (".lora_", ".base_layer.", ".modules_to_save.")


def read_tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Every tensor of the checkpoint by its canonical name, still in the file's dtype.

    Those of an adapter are merged onto their base. Raises: CheckpointError, UnsupportedError for
    quantised weights.
    """
    found = _read_base(checkpoint)
    if checkpoint.adapter is None:
        return found
    adapter = checkpoint.adapter
    tensors = _read_shards(adapter.weights)
    [changes] = tensors.values()
    return dict(merge_lora(found, adapter, changes, tied=checkpoint.config.tie_word_embeddings))


def _read_base(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    files = _read_shards(checkpoint.weights)
    all_names = [name for tensors in files.values() for name in tensors]
    if method := find_quantised_tensors(all_names):
        refuse_quantised(checkpoint.folder, method)
    _check_is_merged(checkpoint, all_names)
    canonical, prefix = canonical_names(all_names, checkpoint.folder)
    found: dict[str, torch.Tensor] = {}
    for path, tensors in files.items():
        for name in [name for name in tensors if name in canonical]:
            if canonical[name] in found:
                raise CheckpointError(
                    f"{path} holds {canonical[name]} a second time: save the model again"
                )
            found[canonical[name]] = tensors[name]
    _note_names(checkpoint, prefix, [name for name in all_names if name not in canonical])
    return found


def _check_is_merged(checkpoint: Checkpoint, names: Collection[str]) -> None:
    """Refuse what peft's wrapper holds while it trains, which transformers reads at random."""
    if name := next((name for name in names if any(part in name for part in _UNMERGED)), None):
        raise CheckpointError(
            f"{checkpoint.folder} has the weights of a model and of an adapter that is not merged "
            f"(see {name}), expected the model's alone: save what peft's merge_and_unload() makes "
            "of them, or the adapter by itself with save_pretrained and give it with --adapter"
        )


def _read_shards(weights: WeightFiles) -> dict[Path, dict[str, torch.Tensor]]:
    return {
        path: _read_shard(path, promised, weights.format)
        for path, promised in weights.shards.items()
    }


def _read_shard(
    path: Path, promised: Collection[str], weights_format: WeightsFormat
) -> dict[str, torch.Tensor]:
    tensors = read_weight_file(path, weights_format)
    absent = [name for name in promised if name not in tensors]
    if absent:
        raise CheckpointError(
            f"{path} lacks what its index promises: {count_names('missing', absent)}: "
            "download the shards and the index again"
        )
    return tensors


def _note_names(checkpoint: Checkpoint, prefix: str, outside: list[str]) -> None:
    if prefix:
        checkpoint.notes.append(f"the weights' names begin with {prefix!r}, which was taken off")
    if outside:
        checkpoint.notes.append(count_names("outside the network left out", outside))
