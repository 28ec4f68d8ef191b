"""Which files of a folder hold its weights: one form of them is chosen, as transformers would."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final, Literal, TypeAlias

from pegasus_export.checkpoint.config import read_json_object
from pegasus_export.checkpoint.recognise import describe_folder
from pegasus_export.errors import CheckpointError

__all__ = ["WeightFiles", "WeightsFormat", "find_weight_files"]

WeightsFormat: TypeAlias = Literal["safetensors", "bin", "flax", "h5", "tf1"]

_WEIGHT_NAMES: Final[tuple[tuple[str, WeightsFormat], ...]] = (
    ("model.safetensors", "safetensors"),
    ("pytorch_model.bin", "bin"),
    ("flax_model.msgpack", "flax"),
    ("tf_model.h5", "h5"),
)
_VARIANTS: Final[tuple[tuple[re.Pattern[str], WeightsFormat], ...]] = (
    (re.compile(r"model\.(?P<variant>(?!.*-of-)[^.]+)\.safetensors"), "safetensors"),
    (re.compile(r"model\.safetensors\.index\.(?P<variant>[^.]+)\.json"), "safetensors"),
    (re.compile(r"pytorch_model\.(?P<variant>(?!.*-of-)[^.]+)\.bin"), "bin"),
    (re.compile(r"pytorch_model\.bin\.index\.(?P<variant>[^.]+)\.json"), "bin"),
)
_SHARDS: Final[tuple[tuple[re.Pattern[str], WeightsFormat], ...]] = (
    (re.compile(r"model-(?P<number>\d+)-of-(?P<count>\d+)\.safetensors"), "safetensors"),
    (re.compile(r"pytorch_model-(?P<number>\d+)-of-(?P<count>\d+)\.bin"), "bin"),
)
_RENAMED: Final[Mapping[str, WeightsFormat]] = {
    ".safetensors": "safetensors",
    ".bin": "bin",
    ".pt": "bin",
    ".pth": "bin",
    ".ckpt": "bin",
}
# What a Trainer saves for itself, and weights that belong on others.
_NOT_A_MODEL: Final = re.compile(
    r"(optim|scheduler|scaler|rng_state|random_states|training_args|trainer|adapter_)"
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
    note: str = ""
    """What a user may wonder about, if anything."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.shards, *self.data, *([self.index] if self.index else []))


def find_weight_files(folder: Path) -> WeightFiles:
    """Choose the weights to read: safetensors, .bin, Flax, TF2, TF1; one file before shards.

    Behind what transformers takes by itself come variants (`model.fp16.safetensors`), shards whose
    index is missing and a file of another name, where there is only one that it can be.
    Raises CheckpointError if there are none, or an index names a file that is not in the folder.
    """
    torch_names, other_names = _WEIGHT_NAMES[:2], _WEIGHT_NAMES[2:]
    files = (
        _find_named(folder, torch_names)
        or _find_variant(folder)
        or _find_shards(folder)
        or _find_named(folder, other_names)
        or _find_tf1_files(folder)
    )
    if files is None and (what := describe_folder(folder)):
        raise CheckpointError(f"{folder} {what}")
    files = files or _find_renamed(folder)
    if files is None:
        expected = ", ".join(name for name, _ in _WEIGHT_NAMES)
        raise CheckpointError(
            f"{folder} has no weights, expected one of {expected}, model.ckpt-*.index: "
            "complete the download"
        )
    for path in files.files:
        if not path.is_file():  # whoever opened a pipe would wait for ever
            raise CheckpointError(f"{path} is no file: put the weights themselves there")
    return files


def _find_named(folder: Path, names: tuple[tuple[str, WeightsFormat], ...]) -> WeightFiles | None:
    for name, weights_format in names:
        path, index = folder / name, folder / f"{name}.index.json"
        if path.is_file():
            return WeightFiles(format=weights_format, index=None, shards={path: ()})
        if index.is_file():
            return _open_index(index, weights_format)
    return None


def _open_index(index: Path, weights_format: WeightsFormat, note: str = "") -> WeightFiles:
    shards = _read_index(index)
    if weights_format not in ("safetensors", "bin"):  # names of their own, not torch's
        shards = dict.fromkeys(shards, ())
    return WeightFiles(format=weights_format, index=index, shards=shards, note=note)


def _find_variant(folder: Path) -> WeightFiles | None:
    """The files of the one variant that there is, safetensors before .bin."""
    found: dict[str, list[tuple[str, WeightsFormat]]] = {}
    for pattern, weights_format in _VARIANTS:
        for name in _list_files(folder):
            if (match := pattern.fullmatch(name)) is not None:
                found.setdefault(match["variant"], []).append((name, weights_format))
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(sorted(files[0][0] for files in found.values()))
        raise CheckpointError(
            f"{folder} has its weights as several variants ({names}) and none without: rename "
            "the one to export to model.safetensors or pytorch_model.bin"
        )
    [(variant, [(name, weights_format), *_])] = found.items()
    note = f"the weights are the variant {variant!r} ({name})"
    if name.endswith(".json"):
        return _open_index(folder / name, weights_format, note)
    return WeightFiles(format=weights_format, index=None, shards={folder / name: ()}, note=note)


def _find_shards(folder: Path) -> WeightFiles | None:
    """All the shards of weights whose index got lost."""
    for pattern, weights_format in _SHARDS:
        matches = [match for name in _list_files(folder) if (match := pattern.fullmatch(name))]
        if not matches:
            continue
        count = int(matches[0]["count"])
        numbers = {int(match["number"]) for match in matches}
        missing = sorted(set(range(1, count + 1)) - numbers)
        if missing or {int(match["count"]) for match in matches} != {count}:
            raise CheckpointError(
                f"{folder} has {len(matches)} of {count} shards ({matches[0][0]} ...) and no "
                "index of them: complete the download"
            )
        return WeightFiles(
            format=weights_format,
            index=None,
            shards={folder / match[0]: () for match in matches},
            note=f"the index of the weights is missing: all {count} shards are read",
        )
    return None


def _find_renamed(folder: Path) -> WeightFiles | None:
    """A file of weights under another name, such as a training loop's best.pt, if it is alone."""
    names = [
        name
        for name in _list_files(folder)
        if Path(name).suffix in _RENAMED and not _NOT_A_MODEL.match(name)
    ]
    if len(names) > 1:
        raise CheckpointError(
            f"{folder} has several files that may be its weights ({', '.join(names[:5])}): rename "
            "the one to export to model.safetensors or pytorch_model.bin"
        )
    if not names:
        return None
    return WeightFiles(
        format=_RENAMED[Path(names[0]).suffix],
        index=None,
        shards={folder / names[0]: ()},
        note=f"the weights are read from {names[0]}, the one file that can be they",
    )


def _list_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


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
    note = f"of {len(steps)} TF1 checkpoints the last is read: {index.stem}"
    return WeightFiles(
        format="tf1",
        index=None,
        shards={index: ()},
        data=data,
        note=note if len(steps) > 1 else "",
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
