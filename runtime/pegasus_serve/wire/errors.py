"""What is answered when something is wrong: a status, a code for programs, a line for people."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pegasus_runtime.errors import (
    BundleError,
    GenerationInterrupted,
    InputError,
    OptionsError,
    Overloaded,
)
from pegasus_serve.wire.http_words import in_http_words

__all__ = ["HttpError", "Problem", "internal", "problem_of", "stopping"]

_INTERNAL = "the server failed: its log says more under this answer's X-Request-ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error, as it is answered."""

    status: int
    code: str
    message: str
    retry_after_s: float | None = None
    """When to try again; None: not said."""
    allow: str | None = None
    """The methods that a path is for, where that was wrong."""

    def body(self) -> dict[str, dict[str, str]]:
        """As JSON."""
        return {"error": {"code": self.code, "message": self.message}}

    def headers(self) -> dict[str, str]:
        """Those that belong to it."""
        headers = {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.allow is not None:
            headers["allow"] = self.allow
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers


class HttpError(Exception):
    """A request is answered by a problem."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.problem = Problem(
            status=status, code=code, message=message, retry_after_s=retry_after_s
        )


def problem_of(error: BaseException, *, is_stopping: bool = False) -> Problem | None:
    """What is answered for an error of the runtime; None for one that nobody raised on purpose.

    An engine's message may have paths of the server, so it goes to the log alone.
    is_stopping: whether the server ends, which interrupts what still runs.
    """
    if isinstance(error, HttpError):
        return error.problem
    if isinstance(error, InputError):
        return Problem(status=422, code="input", message=in_http_words(str(error)))
    if isinstance(error, OptionsError):
        return Problem(status=422, code="options", message=in_http_words(str(error)))
    if is_stopping and isinstance(error, Overloaded | GenerationInterrupted | BundleError):
        return stopping()  # what they say of a queue that is closed has the bundle's path
    if isinstance(error, Overloaded):
        seconds = error.retry_after_s
        return Problem(status=503, code="overloaded", message=str(error), retry_after_s=seconds)
    if isinstance(error, GenerationInterrupted):
        return Problem(status=504, code="timeout", message=in_http_words(str(error)))
    return None


def stopping() -> Problem:
    """While the server ends."""
    return Problem(
        status=503,
        code="shutting_down",
        message="the server is shutting down: ask another one, or try again",
        retry_after_s=5.0,
    )


def internal() -> Problem:
    """What is said of an error that is a defect, or the engine's."""
    return Problem(status=500, code="internal", message=_INTERNAL)
