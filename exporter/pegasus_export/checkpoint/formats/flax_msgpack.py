"""The flax_model.msgpack of transformers' Flax classes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch

from pegasus_export.checkpoint.formats.msgpack_tree import Tree, read_tree
from pegasus_export.checkpoint.formats.stored_tensor import StoredTensor, TensorFile
from pegasus_export.errors import CheckpointError

__all__ = ["read_flax_msgpack"]

_KINDS: Final = {"kernel": "weight", "embedding": "weight", "scale": "weight"}


def read_flax_msgpack(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor by its name in transformers' torch classes, with or without "model.".

    Raises: CheckpointError.
    """
    file = TensorFile(path)
    try:
        with path.open("rb") as opened:
            tree = read_tree(opened, file.size)
        stored = list(_flatten(tree))
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): check the disk, or download it again"
        ) from err
    except ValueError as err:
        raise CheckpointError(
            f"{path} is damaged, or no msgpack of Flax ({err}): download it again"
        ) from err
    found: dict[str, torch.Tensor] = {}
    for tensor in stored:
        *modules, last = tensor.name.removeprefix("params.").split(".")
        name = ".".join([*modules, _KINDS.get(last, last)])
        if name in found:
            raise CheckpointError(f"{path} holds {name} a second time: save the model again")
        found[name] = file.load(tensor, transposed=last == "kernel")
    return found


def _flatten(tree: Tree) -> Iterator[StoredTensor]:
    """The tensors of a tree. Raises: ValueError if it has others as its leaves."""
    if isinstance(tree, StoredTensor):
        yield tree
    elif isinstance(tree, dict):
        for key, child in tree.items():
            if not isinstance(child, (dict, StoredTensor)):
                raise ValueError(f"{key} is {child!r}, expected a tensor")
            yield from _flatten(child)
    else:
        raise ValueError("it is no map of tensors")
