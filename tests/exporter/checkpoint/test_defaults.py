"""Settings as they are cleaned: the same tokens in transformers, and values that the runtime takes.

The oracle is generate itself, once with a settings file as it stands, once with what is left of it.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
import torch
import transformers

from pegasus_export.checkpoint.config import PegasusConfig
from pegasus_export.checkpoint.defaults import Defaults, clean_defaults
from pegasus_export.checkpoint.token_ids import resolve_token_ids
from pegasus_export.errors import CheckpointError
from pegasus_runtime.search.options import GenerationOptions

VOCABULARY, POSITIONS = 40, 32
SETTINGS: dict[str, Any] = {
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
    "forced_eos_token_id": 1,
    "max_length": 14,
    "num_beams": 3,
    "length_penalty": 0.6,
}
SOURCE = [[7, 12, 30, 9, 21, 1]]


def _clean(**changes: Any) -> Defaults:
    settings = {key: value for key, value in (SETTINGS | changes).items() if value is not ...}
    return clean_defaults(settings, vocab_size=VOCABULARY, max_positions=POSITIONS)


@lru_cache(maxsize=1)
def _model() -> Any:
    """Of random weights, sharp enough that settings show in its tokens."""
    torch.manual_seed(3)
    config = transformers.PegasusConfig(
        vocab_size=VOCABULARY,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=POSITIONS,
        init_std=0.6,
        activation_function="relu",
        tie_word_embeddings=False,
    )
    return transformers.PegasusForConditionalGeneration(config).eval()


def _tokens(settings: dict[str, Any], **options: Any) -> list[int]:
    model = _model()
    # As from_pretrained has it of a file of these settings.
    model.generation_config = transformers.GenerationConfig.from_dict(
        json.loads(json.dumps(settings))
    )
    torch.manual_seed(0)
    mask = torch.ones(1, len(SOURCE[0]), dtype=torch.long)
    found = model.generate(torch.tensor(SOURCE), attention_mask=mask, **options)
    row: list[int] = found[0].tolist()
    return row[: row.index(1) + 1] if 1 in row else row


WITHOUT_EFFECT: list[dict[str, Any]] = [
    {"early_stopping": 1},
    {"early_stopping": 0},
    {"early_stopping": 1.0},
    {"early_stopping": True},
    {"early_stopping": "never"},
    {"temperature": 0.0},
    {"temperature": "hot"},
    {"top_k": -1},
    {"top_k": 0},
    {"top_p": 1.5},
    {"typical_p": 0.5},
    {"min_p": 7},
    {"top_h": 3.0},
    {"epsilon_cutoff": 0.5},
    {"eta_cutoff": -1},
    {"do_sample": 0},
    {"min_length": -1},
    {"min_length": 9, "min_new_tokens": 0},
    {"min_length": 9, "min_new_tokens": -3},
    {"min_length": 9, "min_new_tokens": 3},
    {"no_repeat_ngram_size": -1},
    {"no_repeat_ngram_size": 2},
    {"encoder_no_repeat_ngram_size": -2},
    {"max_time": 1000.0},
    {"max_new_tokens": 5},
    {"max_new_tokens": 5, "max_length": ...},
    {"max_length": ...},
    {"use_cache": False},
    {"output_scores": True},
    {"output_attentions": True},
    {"cache_implementation": "static"},
    {"cache_implementation": "hybrid"},
    {"cache_implementation": "paged"},
    {"cache_config": {"a": 1}},
    {"prefill_chunk_size": 2},
    {"num_assistant_tokens": 3, "assistant_lookbehind": 1, "speculation_type": "dflash"},
    {"prompt_lookup_num_tokens": 3},
    {"prompt_lookup_num_tokens": 3, "num_beams": 1},
    {"use_mtp": True},
    {"dola_layers": "low"},
    {"assistant_early_exit": 1},
    {"penalty_alpha": 0.6},
    {"penalty_alpha": 0.6, "num_beams": 1, "top_k": 1},
    {"num_beam_groups": 3, "num_beams": 1},
    {"diversity_penalty": 0.5},
    {"remove_invalid_values": 1},
    {"renormalize_logits": 1},
    {"is_assistant": False, "token_healing": False},
    {"suppress_tokens": [-1, 999]},
    {"suppress_tokens": [-1, 5, 999]},
    {"begin_suppress_tokens": [-1]},
    {"forced_bos_token_id": [7]},
    {"forced_bos_token_id": 7},
    {"num_return_sequences": 0, "num_beams": 1},
    {"continuous_batching_config": {}},
    {"force_bos_token_to_be_generated": True},
    {"task": "x", "num_beam": 7},
    {"decoder_start_token_id": [0]},
    {"decoder_start_token_id": ...},
    {"decoder_start_token_id": ..., "bos_token_id": [4]},
    {"eos_token_id": [1]},
    {"eos_token_id": [1, 9, 1]},
    {"eos_token_id": [-1, 1]},
    {"eos_token_id": -1},
    {"eos_token_id": ...},
    {"eos_token_id": ..., "forced_eos_token_id": ..., "max_length": 20},
    {"eos_token_id": ..., "pad_token_id": ...},
    {"pad_token_id": ...},
    {"pad_token_id": -1},
]


def _cleaned_settings(changes: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in (SETTINGS | changes).items() if value is not ...}
    tokens = resolve_token_ids(given, _config()).tokens
    return {
        **_clean(**changes).values,
        "pad_token_id": tokens.pad_token_id,
        "eos_token_id": list(tokens.eos_token_ids) or None,
        "decoder_start_token_id": tokens.decoder_start_token_id,
    }


def _config() -> PegasusConfig:
    return PegasusConfig(
        vocab_size=VOCABULARY,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=POSITIONS,
        activation_function="relu",
        scale_embedding=False,
        pad_token_id=0,
        eos_token_ids=(1,),
        decoder_start_token_id=0,
        tie_word_embeddings=False,
    )


def _ways(changes: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """How a caller may search, where transformers does with the file as it stands."""
    given = {key: value for key, value in (SETTINGS | changes).items() if value is not ...}
    for options in ({}, {"num_beams": 4}, {"num_beams": 1}):
        try:
            yield options, _tokens(given, **options)
        except (ValueError, TypeError, IndexError, AttributeError, RuntimeError):
            assert options, "transformers does not generate with these settings at all"


@pytest.mark.parametrize("changes", WITHOUT_EFFECT, ids=str)
def test_what_is_left_gives_the_same_tokens_and_the_runtime_takes_it(
    changes: dict[str, Any],
) -> None:
    cleaned = _cleaned_settings(changes)
    for options, expected in _ways(changes):
        assert _tokens(cleaned, **options) == expected, options
    taken = {name: cleaned[name] for name in GenerationOptions.__slots__ if name in cleaned}
    GenerationOptions(**taken)


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"do_sample": 1}, {"do_sample": True}),
        ({"do_sample": True, "top_p": 1.5}, {"do_sample": True}),
        ({"do_sample": True, "typical_p": 1.2, "eta_cutoff": 2.0}, {"do_sample": True}),
        ({"do_sample": True, "epsilon_cutoff": 0}, {"do_sample": True}),
        ({"temperature": 0.7, "top_p": 0.9}, {"temperature": 0.7, "top_p": 0.9}),
        ({"num_beams": 3.0, "min_length": 4.0}, {"num_beams": 3, "min_length": 4}),
        ({"max_length": 99}, {"max_length": POSITIONS}),
        ({"max_new_tokens": 99}, {"max_new_tokens": POSITIONS - 1}),
    ],
)
def test_a_setting_becomes_what_generate_makes_of_it(
    changes: dict[str, Any], values: dict[str, Any]
) -> None:
    base = {key: value for key, value in SETTINGS.items() if not key.endswith("s_token_id")}
    for name in ("pad_token_id", "decoder_start_token_id"):
        base.pop(name, None)
    base["forced_eos_token_id"] = 1
    assert _clean(**changes).values == base | values


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, []),
        ({"temperature": 0.0}, ["temperature 0.0 is left out: nothing is sampled"]),
        ({"typical_p": 1.0, "diversity_penalty": 0.0, "penalty_alpha": 0}, []),
        ({"early_stopping": 1}, ["early_stopping 1 is false, as in transformers: not true"]),
        (
            {"max_time": 9},
            ["max_time 9 is left out: a summary has no time limit of its"],
        ),
        (
            {"num_beam": 7},
            ["num_beam 7 is left out: transformers has no such setting (near"],
        ),
        ({"zzz": 7}, []),
        ({"max_length": 99}, ["max_length 99 becomes 32: the model has 32 positions"]),
        ({"dola_layers": "low"}, ["dola_layers 'low' is left out: it has no effect with beams"]),
    ],
)
def test_what_a_user_would_look_for_is_noted(changes: dict[str, Any], notes: list[str]) -> None:
    found = _clean(**changes).notes
    assert len(found) == len(notes)
    for got, expected in zip(found, notes, strict=True):
        assert got.startswith(expected)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"early_stopping": "always"}, "early_stopping is 'always', expected true, false or"),
        ({"early_stopping": [True]}, r"early_stopping is \[True\], expected true, false or"),
        ({"is_assistant": True}, "is_assistant is true, and transformers generates nothing"),
        ({"streamer": 1}, "streamer is among the generation settings, where transformers refuses"),
        ({"max_new_tokens": 0}, "cannot run: max_new_tokens is 0, expected an integer from 1"),
        ({"num_beams": "8"}, "cannot run: num_beams is '8', expected an integer from 1"),
        ({"do_sample": "false"}, "cannot run: do_sample is 'false', expected True or False"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0, expected a number from 1e-06"),
        (
            {"do_sample": True, "temperature": 0.0},
            "temperature is 0.0, expected a number from 1e-09",
        ),
        ({"do_sample": True, "top_k": -1}, "top_k is -1, expected an integer from 0 up"),
    ],
)
def test_what_transformers_refuses_is_refused_by_name(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(CheckpointError, match=match):
        _clean(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_beam_groups": 3, "diversity_penalty": 0.5},
        {"penalty_alpha": 0.6, "num_beams": 1},
        {"guidance_scale": 1.5},
        {"watermarking_config": {"bias": 3.0}},
        {"constraints": []},
        {"force_words_ids": [[5]]},
        {"stop_strings": ["a"]},
        {"token_healing": True},
        {"use_mtp": True, "num_beams": 1},
        {"dola_layers": "low", "num_beams": 1},
        {"cache_implementation": "quantized"},
    ],
    ids=str,
)
def test_what_would_change_tokens_stays_to_be_named(changes: dict[str, Any]) -> None:
    values = _clean(**changes).values
    assert {name: values[name] for name in changes} == changes


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"decoder_start_token_id": ..., "bos_token_id": ...},
            "neither decoder_start_token_id",
        ),
        (
            {"decoder_start_token_id": [0, 1]},
            r"start_token_id is \[0, 1\], expected one id",
        ),
        ({"decoder_start_token_id": 40}, "decoder_start_token_id is 40, expected from 0 to 39"),
        ({"eos_token_id": "1"}, "eos_token_id is '1', expected an id or a list of ids"),
        ({"pad_token_id": True}, "pad_token_id is True, expected an id or a list"),
    ],
)
def test_token_ids_that_are_none_are_refused(changes: dict[str, Any], match: str) -> None:
    given = {key: value for key, value in (SETTINGS | changes).items() if value is not ...}
    with pytest.raises(CheckpointError, match=match):
        resolve_token_ids(given, _config())


def test_where_token_ids_come_from_is_noted() -> None:
    def notes(*without: str, **more: Any) -> tuple[str, ...]:
        given = {key: value for key, value in SETTINGS.items() if key not in without}
        return resolve_token_ids(given, _config(), **more).notes

    assert notes() == ()
    assert "start with bos_token_id 0, as in" in notes("decoder_start_token_id")[0]
    missing = ("decoder_start_token_id", "bos_token_id")
    assert (
        "start with decoder_start_token_id 6 of config.json"
        in notes(*missing, start_of_config=6)[0]
    )
    assert "summaries go on to max_length, as in transformers" in notes("eos_token_id")[0]
    assert notes("pad_token_id") == ()
    given = SETTINGS | {"pad_token_id": 99}
    assert resolve_token_ids(given, _config()).notes == (
        "pad_token_id 99 is no token: 1 pads, which changes nothing",
    )
