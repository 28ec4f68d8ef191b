"""The TF1 checkpoint of an original release: model.ckpt-N.index, and .data-* beside it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from pegasus_export.checkpoint.formats.crc32c import masked_crc32c
from pegasus_export.checkpoint.formats.stored_tensor import StoredTensor, TensorFile, view_tensor
from pegasus_export.checkpoint.formats.tf1_names import TorchName, is_training_state, torch_name
from pegasus_export.checkpoint.formats.tf1_table import Table, TableEntry, read_table
from pegasus_export.errors import CheckpointError

__all__ = ["read_tf1_checkpoint"]

_TYPES: Final[Mapping[int, str]] = {1: "float32", 2: "float64", 14: "bfloat16", 19: "float16"}
_OBJECT_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variable:
    name: str
    entry: TableEntry
    torch: TorchName


def read_tf1_checkpoint(prefix: Path) -> dict[str, torch.Tensor]:
    """Every weight by its name in transformers' torch classes; the optimizer's are left out.

    prefix: the path without ".index". As in the published conversions, PEGASUS has zeros for the
    biases of its attention and for the embedding of its padding, BigBird has neither. Every tensor
    is held against its checksum. Raises: CheckpointError.
    """
    index = Path(f"{prefix}.index")
    table = read_table(index)
    variables = _choose_variables(index, table)
    files = {
        shard: TensorFile(Path(f"{prefix}.data-{shard:05d}-of-{table.num_shards:05d}"))
        for shard in sorted({variable.entry.shard for variable in variables})
    }
    found: dict[str, torch.Tensor] = {}
    for variable in variables:
        tensor = _load(files[variable.entry.shard], variable, big_endian=table.big_endian)
        found |= _name(variable.torch, tensor)
    return found


def _choose_variables(index: Path, table: Table) -> list[_Variable]:
    """The variables that are weights. Raises: CheckpointError if there are unknown ones."""
    if _OBJECT_GRAPH in table.entries:
        raise CheckpointError(
            f"{index} is a checkpoint of TensorFlow 2's objects, expected one of the original TF1 "
            "release: save the model with transformers' save_pretrained"
        )
    weights = {name: entry for name, entry in table.entries.items() if not is_training_state(name)}
    named = {name: torch_name(name) for name in weights}
    unknown = sorted(name for name, theirs in named.items() if theirs is None)
    if unknown or not weights:
        others = f"{len(unknown)} of {len(weights)} variables are others"
        got = f"{others}, the first is {unknown[0]}" if unknown else "it has no weights"
        raise CheckpointError(
            f"{index} is not of PEGASUS or BigBird ({got}), expected the names of their original "
            "releases: choose such a checkpoint"
        )
    variables = [
        _Variable(name=name, entry=entry, torch=theirs)
        for name, entry in weights.items()
        if (theirs := named[name]) is not None
    ]
    _check_entries(index, table, variables)
    return variables


def _check_entries(index: Path, table: Table, variables: Iterable[_Variable]) -> None:
    for variable in variables:
        name, entry = variable.name, variable.entry
        if entry.sliced:
            raise CheckpointError(
                f"{index} holds {name} in slices, expected it whole: save the checkpoint again "
                "without a partitioner"
            )
        if entry.dtype not in _TYPES:
            raise CheckpointError(
                f"{index} holds {name} as TensorFlow's type {entry.dtype}, expected one of "
                f"{', '.join(_TYPES.values())}: save the model again in float32"
            )
        if entry.shard >= table.num_shards:
            raise CheckpointError(
                f"{index} is damaged ({name} lies in file {entry.shard} of {table.num_shards}): "
                "download it again"
            )


def _load(file: TensorFile, variable: _Variable, *, big_endian: bool) -> torch.Tensor:
    entry, transposed = variable.entry, variable.torch.transposed
    stored = StoredTensor(
        name=variable.name,
        shape=entry.shape,
        dtype=_TYPES[entry.dtype],
        pieces=((entry.offset, entry.size),),
        big_endian=big_endian,
    )
    data = file.fetch(stored, mapped=not transposed)
    if masked_crc32c(data) != entry.crc:
        raise CheckpointError(
            f"{file.path} is damaged ({variable.name} does not have its checksum): "
            "download it again"
        )
    return view_tensor(data, stored, transposed=transposed)


def _name(name: TorchName, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """The tensor by its names, and the zeros that the published conversion adds or leaves out."""
    if name.zeroed_row is not None and tensor.dim() == 2 and tensor.shape[0] > name.zeroed_row:
        tensor[name.zeroed_row] = 0.0  # of a private page: the file stays as it is
    if name.may_lack and not tensor.any():
        return {}
    found = dict.fromkeys(name.names, tensor)
    if name.needs_bias and tensor.dim() == 2:
        bias = name.names[0].removesuffix("weight") + "bias"
        found[bias] = torch.zeros(tensor.shape[0], dtype=tensor.dtype)
    return found
