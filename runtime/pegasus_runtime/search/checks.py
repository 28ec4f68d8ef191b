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
    "check_share",
    "check_tokens",
    "check_words",
]

_UNSET_HINT = "leave it out for the bundle's default"
_SHOWN_CHARACTERS = 200
_MAX_INTEGER = 2**63 - 1
_LEAST_BIAS = -float(2**128 - 2**104)  # of fp32
_MOST_BIAS = 1e12  # far above any score, and far enough below the end of fp32 for all penalties


def check_integer(name: str, value: object, least: int, most: int = _MAX_INTEGER) -> None:
    """Raises: OptionsError, as all of these do; None is unset, and no check refuses it."""
    if value is not None and not (_is_integer(value) and least <= value <= most):
        is_too_large = _is_integer(value) and value > most
        bounds = f"from {least} to {most}" if is_too_large else f"from {least} up"
        raise _reject(name, value, f"an integer {bounds}")


def check_number(name: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not (_is_number(value) and least <= value <= most):
        raise _reject(name, value, f"a number from {least:g} to {most:g}")


def check_share(name: str, value: float | None) -> None:
    if value is not None and not (_is_number(value) and 0 < value <= 1):
        raise _reject(name, value, "above 0, up to 1")


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
        raise _reject(
            name,
            value,
            f"pairs of non-empty token ids and a number up to {_MOST_BIAS:g}, which may be -inf",
        )


def check_decay(name: str, value: object) -> None:
    """A start and a factor, or nothing at all, which switches it off."""
    if value is None or (_is_list(value) and len(value) == 0):
        return
    if not (_is_list(value) and len(value) == 2 and _is_integer(value[0]) and _is_number(value[1])):
        raise _reject(name, value, "a pair of an integer and a number, such as (20, 1.1)")


def _reject(name: str, value: object, expected: str) -> OptionsError:
    return OptionsError(
        f"{name} is {_show(value)}, expected {expected}: correct it or {_UNSET_HINT}"
    )


def _show(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "far too large"
    is_long = len(text) > _SHOWN_CHARACTERS
    return f"{text[:_SHOWN_CHARACTERS]} ..." if is_long else text


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # of an integer that is no float
        return False


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_tokens(value: object) -> bool:
    return _is_list(value) and all(
        _is_integer(token) and 0 <= token <= _MAX_INTEGER for token in value
    )


def _is_word(value: object) -> bool:
    return _is_list(value) and len(value) > 0 and _is_tokens(value)


def _is_bias(pair: object) -> bool:
    if not _is_list(pair) or len(pair) != 2 or not _is_word(pair[0]):
        return False
    if pair[1] == -math.inf:
        return True
    return _is_number(pair[1]) and _LEAST_BIAS <= pair[1] <= _MOST_BIAS
