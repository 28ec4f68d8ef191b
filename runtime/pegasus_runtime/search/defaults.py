"""A bundle's generation defaults as options, read as transformers reads a generation config.

It looks at a value only where it uses it, so that much that stands in published files has no
effect: that is left out here, and no error. What would have one is checked as a caller's is.
"""

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from pegasus_runtime.search.options import GenerationOptions

__all__ = ["SAMPLING_OPTIONS", "effective_defaults"]

SAMPLING_OPTIONS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "top_h",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
)
"""What has no effect unless tokens are drawn."""

_CALLERS_OWN = {"seed", "decoder_input_ids", "token_scores", "eos_token_id"}
_OFF_BELOW_ZERO = (
    "min_length",
    "min_new_tokens",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
)
_INTEGERS = (
    *_OFF_BELOW_ZERO,
    "num_beams",
    "max_length",
    "max_new_tokens",
    "num_return_sequences",
    "top_k",
    "forced_bos_token_id",
    "forced_eos_token_id",
)
_OFF_FROM_ONE = ("top_p", "typical_p")
_OFF_OUTSIDE_ONE = ("epsilon_cutoff", "eta_cutoff")


def effective_defaults(
    defaults: Mapping[str, object], explicit: Mapping[str, Any]
) -> dict[str, Any]:
    """The defaults that matter beside what a caller gave, by option; unchecked.

    Names that are no option are not looked at (see `unsupported_defaults`).
    """
    names = {field.name for field in fields(GenerationOptions)} - _CALLERS_OWN - set(explicit)
    values = {
        name: _as_used(name, value)
        for name, value in defaults.items()
        if name in names and value is not None
    }
    given = values | dict(explicit)
    for winner, loser in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if given.get(winner) is not None:
            values.pop(loser, None)
    if not given.get("do_sample"):
        values = {name: value for name, value in values.items() if name not in SAMPLING_OPTIONS}
    return values


def _as_used(name: str, value: Any) -> Any:
    """What a value comes to where transformers uses it."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if name == "do_sample" and is_number:
        return bool(value)
    if name == "early_stopping" and is_number and value in (0, 1):
        return False  # `early_stopping is True` is what it asks
    if name in ("renormalize_logits", "remove_invalid_values"):
        return value is True
    if not is_number:
        return value
    if name in _INTEGERS and not isinstance(value, Integral) and value == int(value):
        value = int(value)  # json writes 4.0 for some
    if name in _OFF_BELOW_ZERO:
        return max(value, 0)
    if name in _OFF_FROM_ONE:
        return min(value, 1.0)
    if name in _OFF_OUTSIDE_ONE:
        return value if 0 < value < 1 else 0.0
    return value
