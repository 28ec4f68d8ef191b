"""Which files of a folder hold its weights: one form of them is chosen, as transformers would."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final, Literal, TypeAlias

from pegasus_export.checkpoint.config import read_json_object
from pegasus_export.errors import CheckpointError

__all__ = ["WeightFiles", "WeightsFormat", "find_weight_files"]

WeightsFormat: TypeAlias = Literal["safetensors", "bin", "flax", "h5", "tf1"]

_WEIGHT_NAMES: Final[tuple[tuple[str, WeightsFormat], ...]] = (
    ("model.safetensors", "safetensors"),
    ("pytorch_model.bin", "bin"),
    ("flax_model.msgpack", "flax"),
    ("tf_model.h5", "h5"),
)
_TF1_INDEX: Final = re.compile(r"model\.ckpt(?:-(\d+))?\.index")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFiles:
    """The files that hold a checkpoint's weights; index lists the shards where there are several.

    `shards` maps each file to the tensor names that the index promises there (none without index).
    Of a TF1 checkpoint the one shard is its .index, and `data` are the files beside it.
    """

    format: WeightsFormat
    index: Path | None
    shards: Mapping[Path, tuple[str, ...]]
    data: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.shards, *self.data, *([self.index] if self.index else []))


def find_weight_files(folder: Path) -> WeightFiles:
    """Choose the weights to read: safetensors, .bin, Flax, TF2, TF1; one file before shards.

    Raises CheckpointError if there are none, or an index names a file that is not in the folder.
    """
    for name, weights_format in _WEIGHT_NAMES:
        path, index = folder / name, folder / f"{name}.index.json"
        if path.is_file():
            return WeightFiles(format=weights_format, index=None, shards={path: ()})
        if index.is_file():
            shards = _read_index(index)
            if weights_format not in ("safetensors", "bin"):  # names of their own, not torch's
                shards = dict.fromkeys(shards, ())
            return WeightFiles(format=weights_format, index=index, shards=shards)
    return _find_tf1_files(folder) or _refuse(folder)


def _find_tf1_files(folder: Path) -> WeightFiles | None:
    """Of the TF1 checkpoints in the folder the one of most steps; None if there are none."""
    steps = {
        path: int(match[1] or -1)
        for path in folder.glob("model.ckpt*.index")
        if (match := _TF1_INDEX.fullmatch(path.name))
    }
    if not steps:
        return None
    index = max(steps, key=lambda path: steps[path])
    data = tuple(sorted(folder.glob(f"{index.stem}.data-*-of-*")))
    if not data:
        raise CheckpointError(
            f"{index} has no {index.stem}.data-00000-of-00001 beside it: complete the download"
        )
    return WeightFiles(format="tf1", index=None, shards={index: ()}, data=data)


def _refuse(folder: Path) -> WeightFiles:
    expected = ", ".join(name for name, _ in _WEIGHT_NAMES)
    raise CheckpointError(
        f"{folder} has no weights, expected one of {expected}, model.ckpt-*.index: "
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
