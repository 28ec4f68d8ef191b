"""A PEFT adapter beside its base: which files it has, and whether it is LoRA that can be merged."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pegasus_export.checkpoint.config import read_json_object
from pegasus_export.checkpoint.weight_files import WeightFiles, WeightsFormat
from pegasus_export.errors import CheckpointError, UnsupportedError

__all__ = ["ADAPTER_CONFIG", "ADAPTER_WEIGHTS", "Adapter", "read_adapter"]

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final[tuple[tuple[str, WeightsFormat], ...]] = (
    ("adapter_model.safetensors", "safetensors"),
    ("adapter_model.bin", "bin"),
)
# Fields of LoraConfig that make it something else, or change the base before training.
_OTHER_KINDS: Final = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "monteclora_config",
    "target_parameters",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
_DEFAULTS: Final = {"r": 8, "lora_alpha": 8}  # those of LoraConfig
_PLAIN_STARTS: Final = (True, False, None, "gaussian", "eva", "orthogonal")
_MERGE: Final = "merge it with peft's merge_and_unload, save_pretrained, and export that folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter whose settings have been read and checked; its weights are not read yet.

    The patterns map regular expressions of module names to what these have instead of `rank` and
    `alpha`. `token_ids` are the rows that the adapter replaces, by the name of their module.
    """

    folder: Path
    weights: WeightFiles
    base: str | None
    revision: str | None
    rank: int
    alpha: float
    rank_pattern: Mapping[str, int]
    alpha_pattern: Mapping[str, float]
    rank_stabilised: bool
    token_ids: Mapping[str, tuple[int, ...]]

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.folder / ADAPTER_CONFIG, *self.weights.files)

    def scaling(self, module: str) -> float:
        """What the product of a module's two matrices is multiplied by."""
        alpha = _find_pattern(self.alpha_pattern, module, self.alpha)
        rank = self.rank_of(module)
        return alpha / math.sqrt(rank) if self.rank_stabilised else alpha / rank

    def rank_of(self, module: str) -> int:
        return int(_find_pattern(self.rank_pattern, module, self.rank))


def _find_pattern(patterns: Mapping[str, float], module: str, default: float) -> float:
    """As peft's get_pattern_key: the first that matches whole names from some dot on."""
    found = (value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module))
    return next(found, default)


def read_adapter(folder: Path) -> Adapter:
    """Raises: CheckpointError, UnsupportedError for what is no plain LoRA."""
    path = folder / ADAPTER_CONFIG
    fields = read_json_object(path)
    _check_kind(path, fields)
    fields = {**_DEFAULTS, **{key: value for key, value in fields.items() if value is not None}}
    problems = [
        f"{name} is {fields.get(name)!r}, expected a positive number"
        for name in ("r", "lora_alpha")
        if not _is_positive(fields.get(name))
    ]
    for name in ("rank_pattern", "alpha_pattern"):
        problems += _find_pattern_problems(name, fields.get(name) or {})
    tokens = fields.get("trainable_token_indices") or {}
    tokens = tokens if isinstance(tokens, dict) else {"shared": tokens}
    if not all(isinstance(ids, list) and all(_is_id(x) for x in ids) for ids in tokens.values()):
        problems.append("trainable_token_indices holds other things than token ids")
    if problems:
        raise CheckpointError(f"{path}: {'; '.join(problems)}: save the adapter again")
    base = fields.get("base_model_name_or_path")
    return Adapter(
        folder=folder,
        weights=_find_weights(folder),
        base=base if isinstance(base, str) and base else None,
        revision=fields["revision"] if isinstance(fields.get("revision"), str) else None,
        rank=fields["r"],
        alpha=fields["lora_alpha"],
        rank_pattern=fields.get("rank_pattern") or {},
        alpha_pattern=fields.get("alpha_pattern") or {},
        rank_stabilised=bool(fields.get("use_rslora")),
        token_ids={name: tuple(ids) for name, ids in tokens.items()},
    )


def _check_kind(path: Path, fields: Mapping[str, Any]) -> None:
    kind = fields.get("peft_type")
    if kind != "LORA":
        raise UnsupportedError(
            f"{path} has peft_type {kind!r}, expected 'LORA': of PEFT's adapters only LoRA is "
            "merged here; if peft can merge this one, " + _MERGE
        )
    others = [f"{name} {fields[name]!r}" for name in _OTHER_KINDS if fields.get(name)]
    start = fields.get("init_lora_weights", True)
    if start not in _PLAIN_STARTS:  # these took what they start from out of the base
        others.append(f"init_lora_weights {start!r}")
    if others:
        raise UnsupportedError(f"{path} has {', '.join(others)}, expected plain LoRA: {_MERGE}")


def _find_pattern_problems(name: str, patterns: object) -> list[str]:
    if not isinstance(patterns, dict):
        return [f"{name} is {patterns!r}, expected an object"]
    problems = []
    for key, value in patterns.items():
        try:
            re.compile(key)
        except re.error as err:
            problems.append(f"{name} has {key!r}, which is no regular expression ({err})")
        if not _is_positive(value):
            problems.append(f"{name} has {value!r} for {key}, expected a positive number")
    return problems


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _find_weights(folder: Path) -> WeightFiles:
    for name, weights_format in ADAPTER_WEIGHTS:
        if (folder / name).is_file():
            return WeightFiles(format=weights_format, index=None, shards={folder / name: ()})
    expected = " or ".join(name for name, _ in ADAPTER_WEIGHTS)
    raise CheckpointError(
        f"{folder} has {ADAPTER_CONFIG} without {expected}: complete the download"
    )
