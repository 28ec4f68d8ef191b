"""Who comes in: as many requests as are worked on at a time, and none when the server ends."""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pegasus_serve.middleware.bodies import discard_body
from pegasus_serve.middleware.observe import route_path
from pegasus_serve.serving import Serving
from pegasus_serve.wire.answer_problem import send_problem
from pegasus_serve.wire.errors import Problem, stopping

__all__ = ["Gate", "Keys"]

_PROBES = ("/health", "/ready", "/metrics")
_OPEN = ("/", "/health", "/ready", "/openapi.json")
"""For which no token is asked; the page's files are open, too."""
_RETRY_AFTER_S = 1.0


class Gate:
    """Counts the requests that are worked on, which have been read: slow clients take no place."""

    def __init__(self, app: ASGIApp, *, serving: Serving) -> None:
        self._app, self._serving = app, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or route_path(scope) in _PROBES:
            await self._app(scope, receive, send)
            return
        problem = self._problem()
        if problem is not None:
            is_last = self._serving.is_stopping
            await send_problem(problem, scope, receive, send, close=is_last)
            return
        self._serving.in_flight += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._serving.in_flight -= 1

    def _problem(self) -> Problem | None:
        if self._serving.is_stopping:
            return stopping()
        most = self._serving.settings.max_requests
        if self._serving.in_flight < most:
            return None
        return Problem(
            status=503,
            code="overloaded",
            message=f"{most} requests are worked on, and no more may: try again",
            retry_after_s=_RETRY_AFTER_S,
        )


class Keys:
    """Asks for the token, where the server has one."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_allowed(scope):
            await self._app(scope, receive, send)
            return
        is_whole = await discard_body(scope, receive)
        await send_problem(
            Problem(
                status=401,
                code="token",
                message="the token is missing or wrong: send it as 'Authorization: Bearer TOKEN'",
            ),
            scope,
            receive,
            send,
            close=not is_whole,
        )

    def _is_allowed(self, scope: Scope) -> bool:
        path = route_path(scope)
        if path in _OPEN or path.startswith("/page/"):
            return True
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        # Both sides in bytes: what is no ASCII would be an error otherwise.
        is_same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        return scheme.lower() == "bearer" and is_same
