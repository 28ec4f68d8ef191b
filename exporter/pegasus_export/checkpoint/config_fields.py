"""The fields of a config.json under the names that the network goes by, as transformers reads it.

Source: transformers 5.23, PreTrainedConfig (attribute_map), PegasusConfig, BigBirdPegasusConfig,
PegasusXConfig.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.json_object import read_json_object

__all__ = ["ConfigFields", "fill_class_defaults", "read_config_fields"]

# Where a file has both names, transformers goes by the first.
_ALIASES: Final = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
}
_SHARED_DEFAULTS: Final[Mapping[str, Any]] = {
    "d_model": 1024,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
}
# Sizes show in the weights, which are held against them. PegasusConfig's gelu and unscaled
# embeddings are not what published checkpoints have, and show in nothing but the note.
_CLASS_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "pegasus": {
        **_SHARED_DEFAULTS,
        "vocab_size": 50265,
        "encoder_layers": 12,
        "decoder_layers": 12,
        "max_position_embeddings": 1024,
        "activation_function": "gelu",
        "scale_embedding": False,
    },
    "bigbird_pegasus": {
        **_SHARED_DEFAULTS,
        "vocab_size": 96103,
        "encoder_layers": 16,
        "decoder_layers": 16,
        "max_position_embeddings": 4096,
        "activation_function": "gelu_new",
        "scale_embedding": True,
        "attention_type": "block_sparse",
        "block_size": 64,
        "num_random_blocks": 3,
        "use_bias": False,
    },
    "pegasus_x": {
        **_SHARED_DEFAULTS,
        "vocab_size": 96103,
        "encoder_layers": 16,
        "decoder_layers": 16,
        "max_position_embeddings": 16384,
        "activation_function": "gelu",
        "scale_embedding": True,
        "block_size": 512,
        "num_global_tokens": 32,
        "stagger_local_blocks": True,
    },
}
# Of these a note would say nothing: generation goes by its own settings.
_TOKEN_DEFAULTS: Final[Mapping[str, Mapping[str, int]]] = {
    "pegasus": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
    "bigbird_pegasus": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 2},
    "pegasus_x": {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFields:
    """What a config.json says, and `notes` on what was read otherwise than it stands there."""

    values: dict[str, Any]
    notes: tuple[str, ...]


def read_config_fields(path: Path) -> ConfigFields:
    """Read a config.json: canonical names, its model_type and its architecture where they tell.

    Defaults are not filled in yet. Raises CheckpointError if it is no JSON object.
    """
    fields, notes = read_json_object(path), list[str]()
    for alias, name in _ALIASES.items():
        value = fields.get(alias)
        if value is None:
            continue
        if fields.get(name, value) != value:
            notes.append(
                f"config.json has {alias} {value} and {name} {fields[name]}: "
                f"{alias} holds, as in transformers"
            )
        fields[name] = value
    _name_architecture(fields, notes)
    return ConfigFields(values=fields, notes=tuple(notes))


def fill_class_defaults(fields: Mapping[str, Any]) -> ConfigFields:
    """Add what the file leaves to transformers' class; null stays null."""
    model_type = fields.get("model_type", "pegasus")
    defaults = _CLASS_DEFAULTS.get(model_type, {})
    taken = {name: value for name, value in defaults.items() if name not in fields}
    tokens = {
        name: value
        for name, value in _TOKEN_DEFAULTS.get(model_type, {}).items()
        if fields.get(name) is None or (name == "pad_token_id" and fields[name] == -1)
    }
    notes = []
    if taken:
        shown = ", ".join(f"{name} {_show(value)}" for name, value in taken.items())
        notes.append(f"config.json leaves out {', '.join(taken)}: transformers' own, {shown}")
    return ConfigFields(values={**fields, **taken, **tokens}, notes=tuple(notes))


def _show(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name_architecture(fields: dict[str, Any], notes: list[str]) -> None:
    """Takes the name of a subclass, or another framework's, for the class that it names."""
    names = fields.get("architectures")
    if isinstance(names, str):
        notes.append(f"architectures is {names!r}, no list: read as a list of it")
        fields["architectures"] = names = [names]
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        return
    known = max((name for name in ARCHITECTURES if name in names[0]), key=len, default=None)
    if known is None:
        return
    if known != names[0]:
        notes.append(f"architectures has {names[0]}: read as {known}")
        fields["architectures"] = [known]
    if "model_type" not in fields:
        fields["model_type"] = ARCHITECTURES[known].model_type
        notes.append(f"config.json leaves out model_type: {fields['model_type']}, as of {known}")
