"""Generation-config entries that are not implemented are named, never passed over."""

from dataclasses import fields

import pytest
from transformers import GenerationConfig

from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.unsupported import _NEUTRAL, unsupported_defaults

# What generate reads besides options, and which changes no token of these models.
HARMLESS = {
    "assistant_confidence_threshold",  # these act only beside an assistant model
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "is_assistant",
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "target_lookbehind",
    "bos_token_id",  # special tokens reach the search by themselves
    "decoder_start_token_id",
    "eos_token_id",
    "pad_token_id",
    "cache_config",  # how, not what
    "compile_config",
    "continuous_batching_config",
    "disable_compile",
    "low_memory",
    "max_cache_len",
    "prefill_chunk_size",
    "use_cache",
    "output_attentions",  # outputs
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "return_dict_in_generate",
    "transformers_version",
}


def test_every_entry_of_transformers_is_an_option_or_unsupported_or_harmless() -> None:
    entries = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    options = {field.name for field in fields(GenerationOptions)}
    assert entries - options - set(_NEUTRAL) - HARMLESS == set()


def test_no_option_is_called_unsupported() -> None:
    assert not {field.name for field in fields(GenerationOptions)} & set(_NEUTRAL)


def test_transformers_own_defaults_are_neutral() -> None:
    assert unsupported_defaults(GenerationConfig._get_default_generation_params()) == []
    assert unsupported_defaults(vars(GenerationConfig())) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_beam_groups", 2),
        ("diversity_penalty", 0.5),
        ("penalty_alpha", 0.6),
        ("typical_p", 0.9),
        ("epsilon_cutoff", 3e-4),
        ("eta_cutoff", 3e-4),
        ("min_p", 0.1),
        ("top_h", 0.4),
        ("guidance_scale", 1.5),
        ("sequence_bias", [[[5], 1.0]]),
        ("exponential_decay_length_penalty", [10, 1.1]),
        ("encoder_repetition_penalty", 1.2),
        ("constraints", []),
        ("force_words_ids", [[5]]),
        ("prompt_lookup_num_tokens", 3),
        ("assistant_early_exit", 4),
        ("renormalize_logits", True),
        ("remove_invalid_values", True),
        ("cache_implementation", "quantized"),
        ("force_bos_token_to_be_generated", True),
    ],
)
def test_an_entry_that_changes_tokens_is_named(name: str, value: object) -> None:
    assert unsupported_defaults({"num_beams": 4, name: value}) == [name]


def test_names_are_sorted_and_neutral_values_left_out() -> None:
    defaults = {"typical_p": 0.9, "min_p": 0.1, "guidance_scale": 1, "num_beam_groups": 1}
    assert unsupported_defaults(defaults) == ["min_p", "typical_p"]
