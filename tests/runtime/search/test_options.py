"""Options are checked when they are made, each with a message that says what to do."""

import re
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions

PAIRS = "pairs of non-empty token ids and a number up to 1e+12, which may be -inf"
PAIR = "a pair of an integer and a number, such as (20, 1.1)"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_beams", 0, "an integer from 1 up"),
        ("num_beams", True, "an integer from 1 up"),
        ("num_beams", 2.0, "an integer from 1 up"),
        ("max_new_tokens", 0, "an integer from 1 up"),
        ("num_return_sequences", 0, "an integer from 1 up"),
        ("max_length", 1, "an integer from 2 up"),
        ("min_length", -1, "an integer from 0 up"),
        ("min_new_tokens", "3", "an integer from 0 up"),
        ("top_k", -1, "an integer from 0 up"),
        ("seed", -1, "an integer from 0 up"),
        ("no_repeat_ngram_size", -1, "an integer from 0 up"),
        ("encoder_no_repeat_ngram_size", 1.5, "an integer from 0 up"),
        ("forced_bos_token_id", -1, "an integer from 0 up"),
        ("forced_eos_token_id", -1, "an integer from 0 up"),
        ("eos_token_id", -1, "an integer from 0 up"),
        ("length_penalty", float("inf"), "a finite number"),
        ("length_penalty", float("nan"), "a finite number"),
        ("length_penalty", "0.8", "a finite number"),
        ("top_p", 1.1, "a number from 0 to 1"),
        ("min_p", -0.1, "a number from 0 to 1"),
        ("epsilon_cutoff", 2, "a number from 0 to 1"),
        ("eta_cutoff", "0", "a number from 0 to 1"),
        ("top_h", 0, "above 0, up to 1"),
        ("typical_p", 1.5, "above 0, up to 1"),
        ("encoder_repetition_penalty", -1.0, "a number from 1e-06 to 1e+06"),
        ("renormalize_logits", 1, "True or False"),
        ("remove_invalid_values", "yes", "True or False"),
        ("token_scores", 1, "True or False"),
        ("decoder_input_ids", [[0, 5]], "a sequence of token ids"),
        ("sequence_bias", [[5], 1.0], PAIRS),
        ("sequence_bias", [[[], 1.0]], PAIRS),
        ("sequence_bias", {(5,): float("inf")}, PAIRS),
        ("sequence_bias", {5: 1.0}, PAIRS),
        ("exponential_decay_length_penalty", (1.5, 1.1), PAIR),
        ("exponential_decay_length_penalty", (10,), PAIR),
        ("repetition_penalty", 0, "a number from 1e-06 to 1e+06"),
        ("temperature", float("inf"), "a number from 1e-09 to 1e+09"),
        ("temperature", False, "a number from 1e-09 to 1e+09"),
        ("temperature", 1e-38, "a number from 1e-09 to 1e+09"),
        ("temperature", 1e39, "a number from 1e-09 to 1e+09"),
        ("temperature", 10**400, "a number from 1e-09 to 1e+09"),
        ("repetition_penalty", 1e-300, "a number from 1e-06 to 1e+06"),
        ("encoder_repetition_penalty", 1e39, "a number from 1e-06 to 1e+06"),
        ("length_penalty", 10**400, "a finite number"),
        ("top_k", 2**63, f"an integer from 0 to {2**63 - 1}"),
        ("seed", 2**128, f"an integer from 0 to {2**128 - 1}"),
        ("suppress_tokens", [2**63], "a sequence of token ids"),
        ("sequence_bias", {(5,): 1e13}, PAIRS),
        ("sequence_bias", {(5,): -1e39}, PAIRS),
        ("exponential_decay_length_penalty", (10, 10**400), PAIR),
        ("early_stopping", "always", "True or False or 'never'"),
        ("early_stopping", 1, "True or False or 'never'"),
        ("do_sample", 1, "True or False"),
        ("forced_eos_token_id", "1", "a sequence of token ids"),
        ("eos_token_id", [1, "1"], "a sequence of token ids"),
        ("suppress_tokens", [1, -2], "a sequence of token ids"),
        ("suppress_tokens", 5, "a sequence of token ids"),
        ("begin_suppress_tokens", [1.0], "a sequence of token ids"),
        ("bad_words_ids", [5], "a sequence of non-empty sequences of token ids"),
        ("bad_words_ids", [[]], "a sequence of non-empty sequences of token ids"),
        ("bad_words_ids", "ab", "a sequence of non-empty sequences of token ids"),
    ],
)
def test_a_value_out_of_range_names_the_option_the_value_and_the_range(
    name: str, value: Any, expected: str
) -> None:
    text = repr(value)
    shown = text if len(text) <= 200 else f"{text[:200]} ..."
    message = (
        f"{name} is {shown}, expected {expected}: "
        "correct it or leave it out for the bundle's default"
    )
    with pytest.raises(OptionsError, match=f"^{re.escape(message)}$"):
        GenerationOptions(**{name: value})


def test_a_number_that_python_does_not_print_is_refused_too() -> None:
    with pytest.raises(OptionsError, match=r"^num_beams is far too large, expected an integer fr"):
        GenerationOptions(num_beams=10**5000)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.01, "repetition_penalty": 0.1, "encoder_repetition_penalty": 10},
        {"temperature": 100, "repetition_penalty": 10, "length_penalty": -5},
        {"temperature": 1e-8, "length_penalty": 20.0, "seed": 2**64 - 1},
        {"sequence_bias": {(5,): -float("inf"), (6,): float(np.finfo(np.float32).min)}},
    ],
)
def test_what_is_in_use_is_in_range(options: dict[str, Any]) -> None:
    assert GenerationOptions(**options)


def test_every_option_may_be_left_to_the_bundle() -> None:
    options = GenerationOptions()
    assert all(getattr(options, name) is None for name in GenerationOptions.__slots__)


def test_numpy_numbers_and_empty_lists_are_values_too() -> None:
    options = GenerationOptions(
        num_beams=np.int64(4),
        length_penalty=np.float32(0.5),
        forced_eos_token_id=[],
        suppress_tokens=(),
        bad_words_ids=[],
        sequence_bias=[],
        exponential_decay_length_penalty=(),
        decoder_input_ids=np.array([5, 6]).tolist(),
    )
    assert options.num_beams == 4
