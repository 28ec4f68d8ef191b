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
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "target_lookbehind",
    "diversity_penalty",  # of groups of beams, which are unsupported by their number
    "max_time",  # a call's timeout_s: a summary cut by a clock is none
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
        ("guidance_scale", 1.5),
        ("constraints", []),
        ("force_words_ids", [[5]]),
        ("is_assistant", True),
        ("stop_strings", ["."]),
        ("token_healing", True),
        ("watermarking_config", {}),
        ("cache_implementation", "quantized"),
        ("force_bos_token_to_be_generated", True),
    ],
)
def test_an_entry_that_changes_tokens_is_named(name: str, value: object) -> None:
    assert unsupported_defaults({"num_beams": 4, name: value}) == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("penalty_alpha", 0.6),
        ("prompt_lookup_num_tokens", 3),
        ("assistant_early_exit", 4),
        ("dola_layers", "high"),
        ("use_mtp", True),
    ],
)
def test_what_acts_on_one_row_is_named_where_there_are_no_beams(name: str, value: object) -> None:
    assert unsupported_defaults({name: value}) == [name]
    assert unsupported_defaults({"num_beams": 1, name: value}) == [name]
    assert unsupported_defaults({"num_beams": 4, name: value}) == []


def test_contrastive_search_needs_top_k_and_no_sampling() -> None:
    assert unsupported_defaults({"penalty_alpha": 0.6, "top_k": 1}) == []
    assert unsupported_defaults({"penalty_alpha": 0.6, "do_sample": True}) == []


def test_groups_of_beams_are_named_where_there_are_beams() -> None:
    assert unsupported_defaults({"num_beam_groups": 2}) == []


def test_names_are_sorted_and_neutral_values_left_out() -> None:
    defaults = {"token_healing": True, "is_assistant": True, "guidance_scale": 1}
    assert unsupported_defaults(defaults) == ["is_assistant", "token_healing"]
