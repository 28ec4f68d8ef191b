"""The tf_model.h5 of transformers' TensorFlow classes, as Keras lays it out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch

from pegasus_export.checkpoint.formats.stored_tensor import StoredTensor, TensorFile
from pegasus_export.errors import CheckpointError

__all__ = ["read_keras_h5"]

_MAX_DEPTH: Final = 24
_MAX_ITEMS: Final = 20_000
_OPTIMIZER: Final = "optimizer_weights"
_KINDS: Final = {
    "kernel": "weight",
    "embeddings": "weight",
    "weight": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
}


def read_keras_h5(path: Path) -> dict[str, torch.Tensor]:
    """Every weight by its name in transformers' torch classes; those of an optimizer are left out.

    Nothing outside the file is opened, though HDF5 can name other files. Raises: CheckpointError.
    """
    try:
        import h5py
    except ImportError as err:
        raise CheckpointError(
            f"{path} is read with h5py, which is not installed: pip install 'pegasus-edge[formats]'"
        ) from err
    file = TensorFile(path)
    try:
        with h5py.File(path, "r", locking=False) as root:
            if root.userblock_size:
                raise CheckpointError(f"{path} begins with a user block: save the model again")
            datasets = dict(_walk(path, root))
            stored = {name: _locate(path, name, item) for name, item in datasets.items()}
    except CheckpointError:
        raise
    # Damaged files raise whatever their bytes happen to ask for.
    except Exception as err:
        raise CheckpointError(
            f"{path} is damaged or incomplete ({type(err).__name__}): download it again"
        ) from err
    found: dict[str, torch.Tensor] = {}
    for place, tensor in stored.items():
        name, transposed = _torch_name(place)
        if name in found:
            raise CheckpointError(f"{path} holds {name} a second time: save the model again")
        found[name] = file.load(tensor, transposed=transposed)
    return found


def _walk(path: Path, root: Any) -> Iterator[tuple[str, Any]]:
    """Every dataset by its path; links are not followed."""
    import h5py

    groups, count = [("", root)], 0
    while groups:
        place, group = groups.pop()
        for key in group:
            count += 1
            name = f"{place}/{key}" if place else key
            if count > _MAX_ITEMS or name.count("/") > _MAX_DEPTH:
                raise CheckpointError(
                    f"{path} has more than {_MAX_ITEMS} entries, or its groups lie in a circle: "
                    "do not use this checkpoint"
                )
            if not isinstance(link := group.get(key, getlink=True), h5py.HardLink):
                raise CheckpointError(
                    f"{path} has a {type(link).__name__} to elsewhere at {name}, expected only "
                    "what the file holds itself: do not use this checkpoint"
                )
            item = group[key]
            if isinstance(item, h5py.Group):
                if name != _OPTIMIZER:
                    groups.append((name, item))
            elif isinstance(item, h5py.Dataset):
                yield name, item
            else:
                raise CheckpointError(
                    f"{path} has a {type(item).__name__} at {name}, expected tensors: "
                    "save the model again"
                )


def _locate(path: Path, name: str, dataset: Any) -> StoredTensor:
    """Where in the file a dataset's numbers lie, in one piece and as they are."""
    import h5py

    creation = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual:
        raise CheckpointError(
            f"{path} keeps {name} in another file, expected it in this one: "
            "do not use this checkpoint"
        )
    offset = dataset.id.get_offset()
    if creation.get_nfilters() or offset is None or dataset.shape is None:
        raise CheckpointError(
            f"{path} keeps {name} compressed, in chunks or not at all, expected it in one piece as "
            "save_pretrained writes it: save the model again"
        )
    dtype = dataset.dtype
    if dtype.kind != "f" or not dataset.id.get_type().equal(h5py.h5t.py_create(dtype)):
        raise CheckpointError(
            f"{path} holds {name} as {dtype}, expected float32, float16 or float64: "
            "save the model again in float32"
        )
    return StoredTensor(
        name=name,
        shape=dataset.shape,
        dtype=dtype.name,
        pieces=((offset, dataset.id.get_storage_size()),),
        big_endian=dtype.str.startswith(">"),
    )


def _torch_name(place: str) -> tuple[str, bool]:
    """The name of a dataset in torch, and whether torch has its matrix the other way round.

    Keras writes the layer, the model, and then what torch has: `model/tf_pegasus_model/model/...`;
    a shard of several only the latter. Whatever else is there keeps its path, to be refused by it.
    """
    *modules, last = place.removesuffix(":0").split("/")
    if last == "final_logits_bias":
        return last, False
    if last not in _KINDS:
        return place, False
    if "model.shared" in modules:
        return f"model.shared.{_KINDS[last]}", False
    stack = next((x for x in ("encoder", "decoder") if x in modules), None)
    if stack is None:
        return place, False
    within = modules[modules.index(stack) :]
    return ".".join(["model", *within, _KINDS[last]]), last == "kernel"
