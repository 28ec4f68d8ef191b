"""Bodies of requests: bounded in size, in time, and all of them together."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pegasus_serve.settings import Settings
from pegasus_serve.wire.answer_problem import send_problem
from pegasus_serve.wire.client_gone import ClientGoneError
from pegasus_serve.wire.errors import HttpError, Problem

__all__ = ["Bodies", "discard_body"]

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_MOST_DISCARDED = 64 * 2**20
_DISCARD_S = 5.0

_TWO_ENDS = Problem(
    status=400,
    code="two_lengths",
    message="the request has content-length and transfer-encoding: send one of them",
)
"""A proxy may take the one where the server takes the other, and the rest for another's request."""


class Bodies:
    """Reads a request's body before anything else sees it, and holds it until the answer is out."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _has_two_ends(Headers(scope=scope)):
            await send_problem(_TWO_ENDS, scope, receive, send, close=True)
            return
        if scope["type"] != "http" or scope["method"] in _WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            await self._read(Headers(scope=scope), receive, body)
        except HttpError as err:
            self._release(body)
            is_whole = err.problem.status != 408 and await discard_body(scope, receive)
            await send_problem(err.problem, scope, receive, send, close=not is_whole)
            return
        held, replayed = len(body), _Replayed(bytes(body), receive)
        body.clear()
        try:
            await self._app(scope, replayed, send)
        finally:
            self._held_bytes -= held

    def _release(self, body: bytearray) -> None:
        self._held_bytes -= len(body)
        body.clear()

    async def _read(self, headers: Headers, receive: Receive, body: bytearray) -> None:
        """Raises: HttpError, ClientGoneError."""
        seconds = self._settings.body_timeout_s
        declared = headers.get("content-length", "")
        if declared.isdecimal() and len(declared) < 20 and int(declared) > self._most:
            raise self._too_large(f"{int(declared)} bytes")
        try:
            await asyncio.wait_for(self._collect(receive, body), seconds)
        except asyncio.TimeoutError as err:
            raise HttpError(
                408, "slow_body", f"the body was not there after {seconds:g} s: send it faster"
            ) from err
        except ClientGoneError:
            self._release(body)
            raise

    async def _collect(self, receive: Receive, body: bytearray) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            body += chunk
            self._held_bytes += len(chunk)
            if len(body) > self._most:
                raise self._too_large(f"over {self._most} bytes")
            if self._held_bytes > self._settings.max_body_total_bytes:
                raise HttpError(
                    503, "overloaded", "too many large requests: try again", retry_after_s=1.0
                )
            if not message.get("more_body", False):
                return

    @property
    def _most(self) -> int:
        return self._settings.max_body_bytes

    def _too_large(self, got: str) -> HttpError:
        return HttpError(
            413,
            "body_size",
            f"the body has {got}, the server takes {self._most}: send less in one request, or "
            "start it with a larger --max-body-mib",
        )


def _has_two_ends(headers: Headers) -> bool:
    return "content-length" in headers and "transfer-encoding" in headers


async def discard_body(scope: Scope, receive: Receive) -> bool:
    """Reads what a client still sends, as many hear no answer before that; whether it was all.

    A client that asks first (`Expect: 100-continue`) is told without.
    """
    headers = Headers(scope=scope)
    if scope["method"] in _WITHOUT_BODY:
        return True
    if headers.get("expect", "").lower() == "100-continue":
        return False
    try:
        return await asyncio.wait_for(_discard(receive), _DISCARD_S)
    except asyncio.TimeoutError:
        return False


async def _discard(receive: Receive) -> bool:
    got = 0
    while got < _MOST_DISCARDED:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        got += len(message.get("body", b""))
        if not message.get("more_body", False):
            return True
    return False


class _Replayed:
    """A body that was read, and then what the client does."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
