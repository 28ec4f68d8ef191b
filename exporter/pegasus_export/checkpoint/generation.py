"""A checkpoint's own generation settings, under transformers' names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pegasus_export.checkpoint.config import read_json_object

__all__ = ["read_generation"]

# What transformers reads from a config.json that has no generation_config.json beside it.
_GENERATION_KEYS: Final = (
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "pad_token_id",
    "remove_invalid_values",
    "repetition_penalty",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
)


def read_generation(folder: Path, config_fields: Mapping[str, Any]) -> dict[str, object]:
    """What generation_config.json sets, or else config.json; raises CheckpointError if damaged."""
    path = folder / "generation_config.json"
    if path.is_file():
        settings = read_json_object(path)
    else:
        settings = {key: config_fields[key] for key in _GENERATION_KEYS if key in config_fields}
    for key in ("transformers_version", "_from_model_config"):
        settings.pop(key, None)
    return {key: value for key, value in settings.items() if value is not None}
