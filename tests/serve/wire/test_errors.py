"""Errors of the runtime as answers."""

from __future__ import annotations

import pytest

from pegasus_runtime import (
    BundleError,
    EngineError,
    GenerationInterrupted,
    InputError,
    OptionsError,
    Overloaded,
)
from pegasus_serve.wire.errors import HttpError, internal, problem_of


@pytest.mark.parametrize(
    ("error", "status", "code", "while_stopping"),
    [
        (InputError("a"), 422, "input", (422, "input")),
        (OptionsError("a"), 422, "options", (422, "options")),
        (Overloaded("a"), 503, "overloaded", (503, "shutting_down")),
        (GenerationInterrupted("a"), 504, "timeout", (503, "shutting_down")),
        (HttpError(404, "model", "a"), 404, "model", (404, "model")),
        (BundleError("closed"), None, None, (503, "shutting_down")),
        (EngineError("a"), None, None, None),
        (ValueError("a"), None, None, None),
    ],
)
def test_an_error_has_a_status_and_a_code(
    error: Exception,
    status: int | None,
    code: str | None,
    while_stopping: tuple[int, str] | None,
) -> None:
    problem = problem_of(error)
    assert (problem.status if problem else None) == status
    assert (problem.code if problem else None) == code
    problem = problem_of(error, is_stopping=True)
    assert ((problem.status, problem.code) if problem else None) == while_stopping


def test_seconds_to_wait_are_whole_and_at_least_one() -> None:
    error = Overloaded("full")
    for seconds, told in ((0.01, "1"), (2.1, "3")):
        error.retry_after_s = seconds
        problem = problem_of(error)
        assert problem is not None
        assert problem.headers() == {"retry-after": told}
    assert internal().headers() == {}


def test_a_queue_that_is_closed_does_not_name_its_bundle() -> None:
    problem = problem_of(Overloaded("/srv/bundle: the Batcher is closing"), is_stopping=True)
    assert problem is not None
    assert "/srv" not in problem.message
    assert problem.retry_after_s
