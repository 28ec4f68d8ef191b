"""What a caller may ask of generation, in Hugging Face's names and meanings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from pegasus_runtime.errors import OptionsError

__all__ = ["EarlyStopping", "GenerationOptions"]

EarlyStopping = bool | Literal["never"]

_MAX_PENALTY = 10.0  # 4096**10 is still finite in fp32
_UNSET_HINT = "leave it out for the bundle's default"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationOptions:
    """Options of one generation; None means: take the bundle's default.

    As in transformers, `max_new_tokens` wins over `max_length` and `min_new_tokens` over
    `min_length`, and both lengths count the start token. `num_beams` above 1 is beam search;
    1 is greedy search, or sampling with `do_sample`. Raises OptionsError.

    >>> GenerationOptions(num_beams=4, length_penalty=0.8).num_beams
    4
    """

    num_beams: int | None = None
    """Beams; 1 is greedy search or sampling."""
    max_length: int | None = None
    """Most tokens of a hypothesis, start token included."""
    max_new_tokens: int | None = None
    """Most generated tokens; wins over max_length."""
    min_length: int | None = None
    """EOS is banned while there are fewer tokens than this, start token included."""
    min_new_tokens: int | None = None
    """EOS is banned while there are fewer generated tokens than this; wins over min_length."""
    length_penalty: float | None = None
    """Score = log-probability / generated tokens ** length_penalty; above 0 favours long ones."""
    early_stopping: EarlyStopping | None = None
    """True stops at num_beams finished hypotheses, False by a heuristic, "never" when no better
    one is possible."""
    no_repeat_ngram_size: int | None = None
    """No n-gram of this size occurs twice; 0 is off."""
    encoder_no_repeat_ngram_size: int | None = None
    """No n-gram of this size is copied from the source (its EOS included); 0 is off."""
    repetition_penalty: float | None = None
    """Scores of tokens already there are divided (if positive) or multiplied by it; 1 is off."""
    bad_words_ids: Sequence[Sequence[int]] | None = None
    """Token sequences that must not be generated; a lone EOS is not banned; empty is off."""
    suppress_tokens: Sequence[int] | None = None
    """Tokens that are never generated; empty is off."""
    begin_suppress_tokens: Sequence[int] | None = None
    """Tokens that are not generated first (second, after a forced BOS); empty is off."""
    forced_bos_token_id: int | None = None
    """The first generated token."""
    forced_eos_token_id: int | Sequence[int] | None = None
    """The token at max_length; overrides min_length; an empty sequence is off."""
    num_return_sequences: int | None = None
    """Hypotheses per document: at most num_beams, or any number of samples."""
    do_sample: bool | None = None
    """Draw tokens at random (num_beams 1 only)."""
    temperature: float | None = None
    """Sampling: logits are divided by this."""
    top_k: int | None = None
    """Sampling: only the k most likely tokens; 0 is off."""
    top_p: float | None = None
    """Sampling: only the most likely tokens that together have this probability; 1 is off."""
    seed: int | None = None
    """Sampling: the same seed and document give the same samples; None draws a new seed."""

    def __post_init__(self) -> None:
        for name in ("num_beams", "max_new_tokens", "num_return_sequences"):
            _check_integer(name, getattr(self, name), 1)
        _check_integer("max_length", self.max_length, 2)
        for name in ("min_length", "min_new_tokens", "top_k", "seed"):
            _check_integer(name, getattr(self, name), 0)
        for name in ("no_repeat_ngram_size", "encoder_no_repeat_ngram_size"):
            _check_integer(name, getattr(self, name), 0)
        _check_number("length_penalty", self.length_penalty, -_MAX_PENALTY, _MAX_PENALTY)
        _check_number("top_p", self.top_p, 0.0, 1.0)
        _check_positive("repetition_penalty", self.repetition_penalty)
        _check_positive("temperature", self.temperature)
        _check_choice("early_stopping", self.early_stopping, (True, False, "never"))
        _check_choice("do_sample", self.do_sample, (True, False))
        _check_integer("forced_bos_token_id", self.forced_bos_token_id, 0)
        if isinstance(self.forced_eos_token_id, Integral):
            _check_integer("forced_eos_token_id", self.forced_eos_token_id, 0)
        else:
            _check_tokens("forced_eos_token_id", self.forced_eos_token_id)
        _check_tokens("suppress_tokens", self.suppress_tokens)
        _check_tokens("begin_suppress_tokens", self.begin_suppress_tokens)
        _check_bad_words(self.bad_words_ids)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _reject(name: str, value: object, expected: str) -> OptionsError:
    return OptionsError(f"{name} is {value!r}, expected {expected}: correct it or {_UNSET_HINT}")


def _check_integer(name: str, value: object, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise _reject(name, value, f"an integer from {least} up")


def _check_number(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not (_is_number(value) and least <= value <= most):
        raise _reject(name, value, f"a number from {least:g} to {most:g}")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not (_is_number(value) and value > 0):
        raise _reject(name, value, "a finite number above 0")


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    # `in` alone would take 1 for True.
    if value is not None and not any(type(value) is type(c) and value == c for c in choices):
        raise _reject(name, value, " or ".join(repr(choice) for choice in choices))


def _is_tokens(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and all(_is_integer(token) and token >= 0 for token in value)
    )


def _check_tokens(name: str, value: object) -> None:
    if value is not None and not _is_tokens(value):
        raise _reject(name, value, "a sequence of token ids")


def _check_bad_words(value: object) -> None:
    if value is None:
        return
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str | bytes)
        or not all(_is_tokens(word) and len(word) > 0 for word in value)
    ):
        raise _reject("bad_words_ids", value, "a sequence of non-empty sequences of token ids")
