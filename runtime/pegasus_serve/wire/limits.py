"""What one request may ask for, so that none takes everything."""

from __future__ import annotations

from typing import Any

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.search.options import GenerationOptions
from pegasus_serve.settings import Settings
from pegasus_serve.wire.errors import HttpError
from pegasus_serve.wire.request_models import Parameters

__all__ = ["check_documents", "check_timeout", "read_parameters"]

_MOST_TOKEN_IDS = 10_000
"""In all lists of a request together: each step looks at all of them."""


def read_parameters(parameters: Parameters, settings: Settings) -> GenerationOptions:
    """The options, within the server's limits. Raises: OptionsError, HttpError."""
    given: dict[str, Any] = parameters.model_dump(exclude_none=True)
    for name, most, limit in (
        ("num_beams", settings.max_beams, "--max-beams"),
        ("num_return_sequences", settings.max_beams, "--max-beams"),
        ("max_new_tokens", settings.max_new_tokens, "--max-new-tokens"),
        ("max_length", settings.max_new_tokens + 1, "--max-new-tokens"),
    ):
        if given.get(name, 0) > most:
            raise HttpError(
                422,
                "limit",
                f"{name} is {given[name]}, the server takes up to {most}: ask for fewer, or start "
                f"it with a larger {limit}",
            )
    count = sum(_count_ids(value) for value in given.values())
    if count > _MOST_TOKEN_IDS:
        raise HttpError(
            422,
            "limit",
            f"parameters have {count} token ids, the server takes {_MOST_TOKEN_IDS}: send fewer",
        )
    if "sequence_bias" in given:
        given["sequence_bias"] = [(tuple(ids), bias) for ids, bias in given["sequence_bias"]]
    try:
        return GenerationOptions(**given)
    except OptionsError as err:
        raise OptionsError(f"parameters.{err}") from err


def check_documents(count: int, settings: Settings) -> None:
    """Raises: HttpError."""
    if count > settings.max_documents:
        raise HttpError(
            422,
            "limit",
            f"inputs has {count} texts, the server takes {settings.max_documents}: send them in "
            "several requests, or start it with a larger --max-documents",
        )


def check_timeout(timeout_s: float | None, settings: Settings) -> float:
    """The seconds that a request has. Raises: HttpError."""
    if timeout_s is None:
        return settings.timeout_s
    if timeout_s > settings.max_timeout_s:
        raise HttpError(
            422,
            "limit",
            f"timeout_s is {timeout_s:g}, the server takes up to {settings.max_timeout_s:g}: "
            "ask for less, or start it with a larger --max-timeout",
        )
    return timeout_s


def _count_ids(value: object) -> int:
    return sum(map(_count_ids, value)) if isinstance(value, list | tuple) else 1
