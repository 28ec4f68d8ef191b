"""A checkpoint's own generation settings, as transformers' GenerationConfig has them.

Source: transformers 5.23, GenerationConfig.from_pretrained and from_model_config.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pegasus_export.checkpoint.json_object import max_json_bytes, read_json_object
from pegasus_runtime.tokenization.bounded_file import read_bounded

__all__ = ["GENERATION_KEYS", "Generation", "read_generation"]

GENERATION_KEYS: Final = (
    "assistant_confidence_threshold",
    "assistant_early_exit",
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "constraints",
    "continuous_batching_config",
    "decoder_start_token_id",
    "disable_compile",
    "diversity_penalty",
    "do_sample",
    "dola_layers",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "force_words_ids",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "guidance_scale",
    "is_assistant",
    "length_penalty",
    "low_memory",
    "max_cache_len",
    "max_length",
    "max_matching_ngram_size",
    "max_new_tokens",
    "max_time",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "penalty_alpha",
    "prefill_chunk_size",
    "prompt_lookup_num_tokens",
    "remove_invalid_values",
    "renormalize_logits",
    "repetition_penalty",
    "return_dict_in_generate",
    "sequence_bias",
    "speculation_type",
    "stop_strings",
    "suppress_tokens",
    "target_lookbehind",
    "temperature",
    "token_healing",
    "top_h",
    "top_k",
    "top_p",
    "typical_p",
    "use_cache",
    "use_mtp",
    "watermarking_config",
)
"""All that transformers knows; a test holds them against the installed version."""

_NESTED: Final = ("decoder", "generator", "text_config")
_RECORDS: Final = ("transformers_version", "_from_model_config", "_commit_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Settings under transformers' names, and notes on where they come from."""

    values: dict[str, object]
    notes: tuple[str, ...] = ()


def read_generation(folder: Path, config_fields: Mapping[str, Any]) -> Generation:
    """What generation_config.json sets, or else config.json; raises CheckpointError if damaged.

    Names that transformers does not know are among those of the former only. Null is not set. A
    file that is no JSON is as good as none to transformers, one that begins with a BOM among them.
    """
    path = folder / "generation_config.json"
    notes: tuple[str, ...] = ()
    if not path.is_file():
        settings = _from_config(config_fields)
    elif reason := _why_unreadable(path):
        settings = _from_config(config_fields)
        notes = (
            f"generation_config.json is not valid JSON ({reason}) and is left out, as in "
            "transformers: the generation settings are those of config.json",
        )
    else:
        settings = read_json_object(path)
    return Generation(
        values={
            key: value
            for key, value in settings.items()
            if value is not None and key not in _RECORDS
        },
        notes=notes,
    )


def _why_unreadable(path: Path) -> str:
    """Why transformers' json cannot read the file; "" if it can."""
    try:
        json.loads(read_bounded(path, max_json_bytes(path)).decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        return str(err)
    except (OSError, ValueError, RecursionError):
        return ""  # where transformers fails: what reads the file says why
    return ""


def _from_config(fields: Mapping[str, Any]) -> dict[str, object]:
    settings = {key: fields[key] for key in GENERATION_KEYS if fields.get(key) is not None}
    is_forced = fields.get("force_bos_token_to_be_generated")  # of transformers before 4.11
    if is_forced and "bos_token_id" in settings:
        settings["forced_bos_token_id"] = settings["bos_token_id"]
    nested = next((fields[name] for name in _NESTED if fields.get(name)), None)
    if isinstance(nested, Mapping):
        settings = {key: nested[key] for key in GENERATION_KEYS if key in nested} | settings
    return settings
