"""The weights of a safetensors file in the forms of other frameworks, a tensor in memory at a time.

They are what the Flax and TensorFlow classes of transformers 4 write: modules nested in one
another, matrices of linear layers the other way round than torch has them.

    python benchmarks/harness/other_formats.py h5 model.safetensors tf_model.h5
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

Float32 = npt.NDArray[np.float32]


def write_pickle(source: Path, target: Path) -> None:
    """A pytorch_model.bin; all of it is in memory once."""
    import safetensors.torch
    import torch

    torch.save(safetensors.torch.load_file(source), target)


def write_h5(source: Path, target: Path) -> None:
    """A tf_model.h5."""
    import h5py

    with safe_open(source, framework="numpy") as weights, h5py.File(target, "w") as file:
        for name in weights.keys():  # noqa: SIM118
            modules, kind = _place(name, "gamma", "beta", "weight")
            array = _turned(weights.get_tensor(name), kind)
            layer = "model.shared" if modules[-1:] == ["shared"] else "model"
            place = "/".join([layer, *modules, kind]) if modules else kind
            file[f"{place}:0"] = array


def write_flax(source: Path, target: Path) -> None:
    """A flax_model.msgpack: maps of maps, and tensors as extensions of type 1.

    Source: flax.serialization, and the specification of msgpack.
    """
    tree: dict[str, Any] = {}
    with safe_open(source, framework="numpy") as weights, target.open("wb") as file:
        for name in weights.keys():  # noqa: SIM118
            modules, kind = _place(name, "scale", "bias", "embedding")
            branch = tree
            for module in modules:
                branch = branch.setdefault(module, {})
            branch[kind] = name
        for part in _pack(tree, weights):
            file.write(part)


def _place(name: str, scale: str, shift: str, table: str) -> tuple[list[str], str]:
    """The modules of a tensor, and its own name: of a LayerNorm, a table or a matrix, or a bias."""
    *modules, kind = name.split(".")
    module = modules[-1] if modules else ""
    if "norm" in module:
        return modules, scale if kind == "weight" else shift
    if kind == "weight":
        return modules, table if module.startswith(("shared", "embed_")) else "kernel"
    return modules, kind


def _turned(array: Float32, kind: str) -> Float32:
    return np.ascontiguousarray(array.T) if kind == "kernel" else array


def _pack(tree: Mapping[str, Any], weights: Any) -> Iterator[bytes]:
    yield b"\xdf" + len(tree).to_bytes(4, "big")
    for key, child in tree.items():
        yield b"\xdb" + len(key).to_bytes(4, "big") + key.encode()
        if isinstance(child, dict):
            yield from _pack(child, weights)
        else:
            yield from _pack_tensor(_turned(weights.get_tensor(child), key))


def _pack_tensor(array: Float32) -> Iterator[bytes]:
    """(shape, name of the dtype, bytes), within an extension."""
    shape = b"".join(b"\xce" + size.to_bytes(4, "big") for size in array.shape)
    head = bytes([0x93, 0x90 + array.ndim]) + shape + b"\xa7float32"
    head += b"\xc6" + array.nbytes.to_bytes(4, "big")
    yield b"\xc9" + (len(head) + array.nbytes).to_bytes(4, "big") + b"\x01" + head
    yield array.tobytes()


WRITERS: Mapping[str, Callable[[Path, Path], None]] = {
    "bin": write_pickle,
    "h5": write_h5,
    "flax": write_flax,
}

if __name__ == "__main__":
    kind, source, target = sys.argv[1:]
    WRITERS[kind](Path(source), Path(target))
