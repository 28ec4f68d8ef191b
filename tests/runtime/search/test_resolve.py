"""Options, bundle defaults and transformers' rules become settings, or one clear error."""

import re
from typing import Any

import pytest
from transformers import GenerationConfig

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_options
from pegasus_runtime.search.settings import SearchLimits, SearchSettings, SpecialTokens

TOKENS = SpecialTokens(pad=0, eos=(1,), decoder_start=0)
XSUM: dict[str, object] = {
    "bos_token_id": 0,
    "eos_token_id": 1,
    "forced_eos_token_id": 1,
    "length_penalty": 0.6,
    "max_length": 64,
    "num_beams": 8,
    "transformers_version": "4.27.0",
}


def resolve(defaults: dict[str, object] | None = None, **options: Any) -> SearchSettings:
    limits = SearchLimits(max_target_tokens=512, vocab_size=100)
    return resolve_options(GenerationOptions(**options), defaults or {}, TOKENS, limits)


def test_unset_options_take_the_bundles_defaults() -> None:
    settings = resolve(XSUM)
    assert (settings.num_beams, settings.max_length, settings.length_penalty) == (8, 64, 0.6)
    assert settings.forced_eos_token_ids == (1,)
    assert settings.num_candidates == 16
    assert settings.rows_per_document == 8


def test_options_win_over_the_bundles_defaults() -> None:
    settings = resolve(XSUM, num_beams=2, length_penalty=0.0, max_length=32)
    assert (settings.num_beams, settings.max_length, settings.length_penalty) == (2, 32, 0.0)


def test_without_any_default_transformers_own_apply() -> None:
    settings = resolve()
    own = GenerationConfig()._get_default_generation_params()
    assert settings.max_length == 1 + own["max_length"]
    assert settings.min_length == own["min_length"]
    for name in (
        "num_beams",
        "length_penalty",
        "early_stopping",
        "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size",
        "repetition_penalty",
        "num_return_sequences",
        "do_sample",
        "temperature",
        "top_k",
        "top_p",
        "forced_bos_token_id",
    ):
        assert getattr(settings, name) == own[name], name


def test_the_default_length_stays_within_the_models_positions() -> None:
    limits = SearchLimits(max_target_tokens=12, vocab_size=100)
    assert resolve_options(GenerationOptions(), {}, TOKENS, limits).max_length == 12


def test_new_token_counts_win_over_lengths_and_exclude_the_start_token() -> None:
    settings = resolve(XSUM, max_length=30, max_new_tokens=10, min_length=9, min_new_tokens=4)
    assert (settings.max_length, settings.min_length) == (11, 5)


def test_min_length_may_be_anything_as_in_transformers() -> None:
    assert resolve({"max_length": 32, "min_length": 32}).min_length == 32
    settings = resolve({"max_length": 48, "min_length": 32}, max_length=24)
    assert (settings.max_length, settings.min_length) == (24, 32)
    assert resolve(min_new_tokens=8, max_length=8).min_length == 9


def test_a_prefix_counts_in_lengths_but_not_in_numbers_of_new_tokens() -> None:
    settings = resolve(decoder_input_ids=[5, 6], max_length=30, min_length=9)
    assert settings.prompt == (0, 5, 6)
    assert (settings.max_length, settings.min_length) == (30, 9)
    settings = resolve(decoder_input_ids=[0, 5, 6], max_new_tokens=10, min_new_tokens=4)
    assert settings.prompt == (0, 5, 6)
    assert (settings.max_length, settings.min_length) == (13, 7)
    assert resolve(decoder_input_ids=[5]).max_length == 22
    decaying = resolve(decoder_input_ids=[5], exponential_decay_length_penalty=(10, 1.1))
    assert decaying.exponential_decay == (12, 1.1)


def test_after_a_prefix_begin_suppress_tokens_come_at_once() -> None:
    settings = resolve(begin_suppress_tokens=[7], forced_bos_token_id=5, decoder_input_ids=[8])
    assert settings.begin_suppress_length == 2


def test_of_a_sequence_with_two_biases_the_last_counts() -> None:
    settings = resolve(sequence_bias=[[[5, 6], 1], [[7], -2.0], [[5, 6], 3.0]])
    assert settings.sequence_bias == (((5, 6), 3.0), ((7,), -2.0))


def test_beams_and_sampling_combine() -> None:
    settings = resolve({"num_beams": 4}, do_sample=True, num_return_sequences=2)
    assert (settings.num_beams, settings.do_sample, settings.min_tokens_to_keep) == (4, True, 2)


def test_defaults_can_be_switched_off() -> None:
    defaults = {**XSUM, "suppress_tokens": [5], "bad_words_ids": [[6]], "no_repeat_ngram_size": 3}
    settings = resolve(
        defaults,
        suppress_tokens=(),
        bad_words_ids=(),
        no_repeat_ngram_size=0,
        forced_eos_token_id=(),
    )
    assert settings.suppress_tokens == ()
    assert settings.bad_words_ids == ()
    assert settings.no_repeat_ngram_size == 0
    assert settings.forced_eos_token_ids == ()


def test_a_lone_eos_is_no_bad_word_as_in_transformers() -> None:
    settings = resolve(bad_words_ids=[[1], [1, 2], [5]])
    assert settings.bad_words_ids == ((1, 2), (5,))


def test_a_forced_bos_moves_begin_suppress_tokens_by_one() -> None:
    assert resolve(begin_suppress_tokens=[7]).begin_suppress_length == 1
    moved = resolve(begin_suppress_tokens=[7], forced_bos_token_id=5)
    assert moved.begin_suppress_length == 2


def test_a_caller_says_what_ends_a_text() -> None:
    assert resolve().tokens.eos == (1,)
    assert resolve(eos_token_id=9).tokens.eos == (9,)
    # transformers counts an id that is given twice, and draws as many continuations more
    twice = resolve(eos_token_id=[9, 4, 9], num_beams=2)
    assert (twice.tokens.eos, twice.num_candidates) == ((9, 4, 9), 8)
    assert twice.min_tokens_to_keep == 4
    assert resolve(eos_token_id=[]).tokens.eos == ()
    with pytest.raises(OptionsError, match="eos has token 999999, the vocabulary ends at"):
        resolve(eos_token_id=[999999])


def test_of_several_forced_eos_only_those_not_suppressed_are_left() -> None:
    settings = resolve(forced_eos_token_id=[9, 1, 4], suppress_tokens=[4])
    assert settings.forced_eos_token_ids == (1, 9)


def test_seed_prefix_and_token_scores_are_the_callers_alone() -> None:
    settings = resolve({"seed": 3, "decoder_input_ids": [5], "token_scores": True})
    assert (settings.seed, settings.prompt, settings.token_scores) == (None, (0,), False)


@pytest.mark.parametrize(
    ("defaults", "name", "value"),
    [
        ({"temperature": 0.0}, "temperature", 1.0),
        ({"top_k": -1}, "top_k", 50),
        ({"top_p": 1.5}, "top_p", 1.0),
        ({"top_h": 7, "min_p": -1}, "top_h", None),
        ({"typical_p": 0, "epsilon_cutoff": 3, "eta_cutoff": "x"}, "typical_p", 1.0),
        ({"do_sample": True, "top_p": 1.5}, "top_p", 1.0),
        ({"do_sample": True, "typical_p": 2.0}, "typical_p", 1.0),
        ({"do_sample": True, "epsilon_cutoff": -1.0}, "epsilon_cutoff", 0.0),
        ({"do_sample": True, "eta_cutoff": 1.0}, "eta_cutoff", 0.0),
        ({"do_sample": 1}, "do_sample", True),
        ({"early_stopping": 1}, "early_stopping", False),
        ({"early_stopping": 0}, "early_stopping", False),
        ({"renormalize_logits": 1}, "renormalize_logits", False),
        ({"remove_invalid_values": None}, "remove_invalid_values", False),
        ({"min_length": -1}, "min_length", 0),
        ({"min_new_tokens": -1}, "min_length", 1),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size", 0),
        ({"encoder_no_repeat_ngram_size": -2}, "encoder_no_repeat_ngram_size", 0),
        ({"length_penalty": 20.0}, "length_penalty", 20.0),
        ({"num_beams": 4.0}, "num_beams", 4),
        ({"max_length": 0, "max_new_tokens": 8}, "max_length", 9),
        ({"suppress_tokens": [-1, 5, 100]}, "suppress_tokens", (5,)),
        ({"begin_suppress_tokens": [220, 7]}, "begin_suppress_tokens", (7,)),
        ({"exponential_decay_length_penalty": [10, 1.1]}, "exponential_decay", (11, 1.1)),
        ({"sequence_bias": [[[5], -2.0]]}, "sequence_bias", (((5,), -2.0),)),
        ({"encoder_repetition_penalty": 1.2}, "encoder_repetition_penalty", 1.2),
    ],
)
def test_defaults_are_read_as_transformers_uses_them(
    defaults: dict[str, object], name: str, value: object
) -> None:
    assert getattr(resolve(defaults), name) == value


@pytest.mark.parametrize(
    ("defaults", "options"),
    [
        ({"num_beams": 0}, {"num_beams": 2}),
        ({"max_length": 1}, {"max_new_tokens": 4}),
        ({"early_stopping": "no"}, {"early_stopping": True}),
        ({"do_sample": True, "temperature": 0.0}, {"do_sample": False}),
        ({"do_sample": True, "temperature": 0.0}, {"temperature": 0.5}),
        ({"sequence_bias": {"(5,)": 1.0}}, {"sequence_bias": ()}),
    ],
)
def test_an_unusable_default_is_overridden_by_an_option(
    defaults: dict[str, object], options: dict[str, Any]
) -> None:
    with pytest.raises(OptionsError, match="the bundle's generation defaults are unusable"):
        resolve(defaults)
    resolve(defaults, **options)


@pytest.mark.parametrize(
    ("defaults", "options", "message"),
    [
        ({}, {"num_beams": 33}, "num_beams is 33, the bundle takes 32"),
        (
            {},
            {"do_sample": True, "num_return_sequences": 40},
            "num_return_sequences is 40, the bundle takes 32 samples",
        ),
        (
            {"num_beams": 4},
            {"num_return_sequences": 5},
            "num_return_sequences is 5, expected at most num_beams 4",
        ),
        ({}, {"num_return_sequences": 2}, "num_return_sequences is 2, expected at most num_beams"),
        ({}, {"temperature": 0.7}, "temperature 0.7 has no effect without sampling"),
        ({}, {"top_k": 5}, "top_k 5 has no effect without sampling"),
        ({}, {"top_p": 0.5}, "top_p 0.5 has no effect without sampling"),
        (
            {},
            {"max_length": 513},
            "max_length is 513 tokens with the start token, the bundle takes",
        ),
        ({}, {"max_new_tokens": 512}, "max_length is 513 tokens with the start token"),
        ({"max_length": 600}, {}, "max_length is 600 tokens with the start token"),
        (
            {},
            {"decoder_input_ids": [5] * 16, "max_length": 17},
            "decoder_input_ids has 17 tokens with the start token, max_length is 17",
        ),
        ({}, {"decoder_input_ids": [100]}, "decoder_input_ids has token 100"),
        ({}, {"sequence_bias": {(1, 100): 1.0}}, "sequence_bias has token 100"),
        ({}, {"min_p": 0.1}, "min_p 0.1 has no effect without sampling: set do_sample=True"),
        ({}, {"top_h": 0.5}, "top_h 0.5 has no effect without sampling"),
        ({}, {"typical_p": 0.5}, "typical_p 0.5 has no effect without sampling"),
        ({}, {"epsilon_cutoff": 0.1}, "epsilon_cutoff 0.1 has no effect without sampling"),
        ({}, {"eta_cutoff": 0.1}, "eta_cutoff 0.1 has no effect without sampling"),
        (
            {"num_beams": 4, "penalty_alpha": 0.6},
            {"num_beams": 1},
            "the checkpoint sets penalty_alpha, which num_beams 1 would bring into effect",
        ),
        (
            {"num_beam_groups": 2},
            {"num_beams": 4},
            "the checkpoint sets num_beam_groups, which num_beams 4 would bring into effect",
        ),
        (
            {"max_new_tokens": 20},
            {"max_length": 16},
            "max_length 16 would have no effect, the bundle's default max_new_tokens 20 wins",
        ),
        (
            {"min_new_tokens": 4},
            {"min_length": 6},
            "min_length 6 would have no effect, the bundle's default min_new_tokens 4 wins",
        ),
        ({}, {"suppress_tokens": [100]}, "suppress_tokens has token 100, the vocabulary ends at"),
        ({}, {"begin_suppress_tokens": [100]}, "begin_suppress_tokens has token 100"),
        ({}, {"bad_words_ids": [[1, 100]]}, "bad_words_ids has token 100"),
        ({}, {"forced_bos_token_id": 100}, "forced_bos_token_id has token 100"),
        ({}, {"forced_eos_token_id": 100}, "forced_eos_token_id has token 100"),
        (
            {},
            {"forced_bos_token_id": 5, "suppress_tokens": [5]},
            "forced_bos_token_id 5 is in suppress_tokens",
        ),
        (
            {"forced_eos_token_id": 1},
            {"suppress_tokens": [1]},
            "forced_eos_token_id 1 is suppressed at max_length",
        ),
        (
            {"forced_eos_token_id": 1},
            {"begin_suppress_tokens": [1], "max_length": 2},
            "forced_eos_token_id 1 is suppressed at max_length",
        ),
        ({"num_beams": 0}, {}, "the bundle's generation defaults are unusable: num_beams is 0"),
        ({"early_stopping": "no"}, {}, "the bundle's generation defaults are unusable: early_"),
        ({"min_length": 3.5}, {}, "the bundle's generation defaults are unusable: min_length is 3"),
        (
            {"do_sample": True, "temperature": 0.0},
            {},
            "the bundle's generation defaults are unusable: temperature is 0.0, expected a number",
        ),
        (
            {"do_sample": True, "top_k": -1},
            {},
            "the bundle's generation defaults are unusable: top_k",
        ),
        ({"suppress_tokens": 5}, {}, "the bundle's generation defaults are unusable: suppress_to"),
    ],
)
def test_what_cannot_be_met_is_refused(
    defaults: dict[str, object], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionsError, match=f"^{re.escape(message)}"):
        resolve(defaults, **options)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (SpecialTokens(pad=100, eos=(1,), decoder_start=0), "pad has token 100"),
        (SpecialTokens(pad=0, eos=(-1,), decoder_start=0), "eos has token -1"),
        (SpecialTokens(pad=0, eos=(1,), decoder_start=100), "decoder_start has token 100"),
    ],
)
def test_special_tokens_lie_in_the_vocabulary(tokens: SpecialTokens, message: str) -> None:
    limits = SearchLimits(max_target_tokens=512, vocab_size=100)
    with pytest.raises(OptionsError, match=message):
        resolve_options(GenerationOptions(), {}, tokens, limits)


def test_a_vocabulary_of_nothing_but_eos_is_refused() -> None:
    limits = SearchLimits(max_target_tokens=512, vocab_size=2)
    tokens = SpecialTokens(pad=0, eos=(0, 1), decoder_start=0)
    with pytest.raises(OptionsError, match="the vocabulary has 2 tokens, expected more than the 2"):
        resolve_options(GenerationOptions(), {}, tokens, limits)
