"""Around everything: an id, a log line, metrics, headers, and an answer whatever goes wrong."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pegasus_serve.serving import Serving
from pegasus_serve.wire.answer_problem import send_problem
from pegasus_serve.wire.client_gone import ClientGoneError, SlowClientError
from pegasus_serve.wire.errors import internal
from pegasus_serve.wire.request_record import CLIENT_GONE, RequestRecord, sanitised_id

__all__ = ["CONTENT_SECURITY_POLICY", "Observe", "route_path"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
}
_PATHS = frozenset(
    {
        "/",
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/v1/summarize",
        "/v1/classify",
        "/v1/answer",
    }
)


class Observe:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, *, serving: Serving) -> None:
        self._app, self._serving = app, serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = route_path(scope)
        record = RequestRecord(
            id=sanitised_id(Headers(scope=scope).get("x-request-id")),
            method=scope["method"],
            path=path,
        )
        scope["pegasus_serve.record"] = record
        sending = _Sending(send, record, self._serving.settings.write_timeout_s)
        try:
            await self._answer(scope, receive, sending, record)
        finally:
            record.status = record.status or CLIENT_GONE
            self._serving.metrics.count(record, _label(path))
            self._serving.log.request(record)

    async def _answer(
        self, scope: Scope, receive: Receive, sending: _Sending, record: RequestRecord
    ) -> None:
        try:
            await self._app(scope, receive, sending)
        except ClientGoneError:
            record.code = "client_gone"
            record.status = CLIENT_GONE
        except SlowClientError:
            record.code = "slow_client"
            raise  # the server closes the connection of what was begun
        except Exception as err:
            self._serving.log.error(err, record.id)
            if record.status:  # it was begun: the connection is closed
                record.code = "internal"
                raise
            await send_problem(internal(), scope, receive, sending)


class _Sending:
    """Adds headers, notes the status, and waits for no client for ever."""

    def __init__(self, send: Send, record: RequestRecord, timeout_s: float) -> None:
        self._send, self._record, self._timeout_s = send, record, timeout_s

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._record.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["x-request-id"] = self._record.id
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        try:
            await asyncio.wait_for(self._send(message), self._timeout_s)
        except asyncio.TimeoutError as err:
            raise SlowClientError from err


def route_path(scope: Scope) -> str:
    """The path below what the app is mounted at."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if root and path.startswith(root + "/") else path


def _label(path: str) -> str:
    """Few for Prometheus, whatever clients ask for."""
    if path.startswith("/page/"):
        return "/page"
    return path if path in _PATHS else "other"
