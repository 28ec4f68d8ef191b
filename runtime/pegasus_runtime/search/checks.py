"""Values of options: what each may be, and the one way in which it is refused."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeGuard

from pegasus_runtime.errors import OptionsError

__all__ = [
    "check_biases",
    "check_choice",
    "check_decay",
    "check_finite",
    "check_integer",
    "check_number",
    "check_positive",
    "check_tokens",
    "check_words",
]

_MAX_SHOWN = 200
_UNSET_HINT = "leave it out for the bundle's default"


def check_integer(name: str, value: object, least: int) -> None:
    """Raises: OptionsError, as all of these do; None is unset, and no check refuses it."""
    if value is None:
        return
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise _reject(name, value, f"an integer from {least} up")


def check_number(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not (_is_number(value) and least <= value <= most):
        raise _reject(name, value, f"a number from {least:g} to {most:g}")


def check_positive(name: str, value: float | None, most: float = math.inf) -> None:
    if value is not None and not (_is_number(value) and 0 < value <= most):
        expected = "a finite number above 0" if most == math.inf else f"above 0, up to {most:g}"
        raise _reject(name, value, expected)


def check_finite(name: str, value: float | None) -> None:
    if value is not None and not _is_number(value):
        raise _reject(name, value, "a finite number")


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    # `in` alone would take 1 for True.
    if value is not None and not any(type(value) is type(c) and value == c for c in choices):
        raise _reject(name, value, " or ".join(repr(choice) for choice in choices))


def check_tokens(name: str, value: object) -> None:
    if value is not None and not _is_tokens(value):
        raise _reject(name, value, "a sequence of token ids")


def check_words(name: str, value: object) -> None:
    if value is not None and not (_is_list(value) and all(map(_is_word, value))):
        raise _reject(name, value, "a sequence of non-empty sequences of token ids")


def check_biases(name: str, value: object) -> None:
    if value is None:
        return
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not _is_list(pairs) or not all(_is_bias(pair) for pair in pairs):
        raise _reject(name, value, "pairs of non-empty token ids and a number, which may be -inf")


def check_decay(name: str, value: object) -> None:
    """A start and a factor, or nothing at all, which switches it off."""
    if value is None or (_is_list(value) and len(value) == 0):
        return
    if not (_is_list(value) and len(value) == 2 and _is_integer(value[0]) and _is_number(value[1])):
        raise _reject(name, value, "a pair of an integer and a number, such as (20, 1.1)")


def _reject(name: str, value: object, expected: str) -> OptionsError:
    shown = repr(value)
    if len(shown) > _MAX_SHOWN:
        shown = f"{shown[:_MAX_SHOWN]}..."
    return OptionsError(f"{name} is {shown}, expected {expected}: correct it or {_UNSET_HINT}")


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_tokens(value: object) -> bool:
    return _is_list(value) and all(_is_integer(token) and token >= 0 for token in value)


def _is_word(value: object) -> bool:
    return _is_list(value) and len(value) > 0 and _is_tokens(value)


def _is_bias(pair: object) -> bool:
    if not _is_list(pair) or len(pair) != 2 or not _is_word(pair[0]):
        return False
    return _is_number(pair[1]) or pair[1] == -math.inf
