"""A problem as an answer."""

from __future__ import annotations

import json

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pegasus_serve.wire.errors import Problem
from pegasus_serve.wire.request_record import record_of

__all__ = ["problem_response", "send_problem"]


def problem_response(problem: Problem, *, close: bool = False) -> Response:
    """close: the connection, as what is left of the request will not be read."""
    headers = problem.headers()
    if close:
        headers["connection"] = "close"
    return Response(
        json.dumps(problem.body()).encode(),
        status_code=problem.status,
        headers=headers,
        media_type="application/json",
    )


async def send_problem(
    problem: Problem, scope: Scope, receive: Receive, send: Send, *, close: bool = False
) -> None:
    """For middleware; its code is noted in the request's record."""
    record_of(scope).code = problem.code
    await problem_response(problem, close=close)(scope, receive, send)
