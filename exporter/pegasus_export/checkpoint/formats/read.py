"""A file of weights to its named tensors, by what the file is."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast

import torch

from pegasus_export.checkpoint.formats.torch_pickle import read_torch_pickle
from pegasus_export.checkpoint.formats.torch_safetensors import read_safetensors
from pegasus_export.checkpoint.stand_ins import read_start
from pegasus_export.checkpoint.weight_files import WeightsFormat

__all__ = ["read_weight_file"]

Reader: TypeAlias = Callable[[Path], dict[str, torch.Tensor]]

# Each needs a library of its own, which is loaded when such a file is there.
_OTHER_READERS: Final[Mapping[WeightsFormat, tuple[str, str]]] = {
    "flax": ("pegasus_export.checkpoint.formats.flax_msgpack", "read_flax_msgpack"),
    "h5": ("pegasus_export.checkpoint.formats.keras_h5", "read_keras_h5"),
    "tf1": ("pegasus_export.checkpoint.formats.tf1_checkpoint", "read_tf1_checkpoint"),
}
_PICKLE_STARTS: Final = (b"PK\x03\x04", b"\x80")
_LONGEST_HEADER: Final = 1 << 32


def read_weight_file(path: Path, weights_format: WeightsFormat) -> dict[str, torch.Tensor]:
    """Every tensor by its name in transformers' torch classes, with or without "model.".

    path: of a TF1 checkpoint, its .index. Raises: CheckpointError.
    """
    start = read_start(path, "weights")
    if weights_format in _OTHER_READERS:
        return _find_reader(weights_format)(
            path.with_suffix("") if weights_format == "tf1" else path
        )
    # By content: people rename one to the other, and both are safe to read.
    if _is_safetensors(start):
        return read_safetensors(path)
    if weights_format == "bin" or start.startswith(_PICKLE_STARTS):
        return read_torch_pickle(path)
    return read_safetensors(path)


def _find_reader(weights_format: WeightsFormat) -> Reader:
    module, name = _OTHER_READERS[weights_format]
    return cast(Reader, getattr(importlib.import_module(module), name))


def _is_safetensors(start: bytes) -> bool:
    """Whether a file begins with a length of eight bytes, that of the JSON object that follows."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < _LONGEST_HEADER
