"""Server-sent events: a summary as it comes, and at last all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pegasus_runtime.errors import GenerationInterrupted
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summary import Summary
from pegasus_serve.wire.client_gone import ClientGoneError, wait_until_gone
from pegasus_serve.wire.results import as_json

__all__ = ["EventStream", "Newest"]

_BEAT_S = 15.0
"""A comment is sent so long after the last event: proxies close what is silent."""
_LATE_S = 5.0


class Newest:
    """The newest Partial: put by a batcher's thread, taken in the event loop.

    Each has all of the text so far, so a client that reads slowly misses nothing, and nothing
    piles up for it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._partial: Partial | None = None

    def put(self, partial: Partial) -> None:
        """From any thread."""
        self._partial = partial
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._loop.call_soon_threadsafe(self._came.set)

    async def wait(self) -> None:
        """Until there is one."""
        await self._came.wait()

    def take(self) -> Partial | None:
        """None if there is none since the last."""
        self._came.clear()
        partial, self._partial = self._partial, None
        return partial


class EventStream(Response):
    """`partial` events, and then one `result` or `error`."""

    media_type = "text/event-stream"

    def __init__(
        self,
        future: Future[Summary],
        newest: Newest,
        *,
        ends_at: float,
        finish: Callable[[Summary | BaseException], tuple[str, object]],
    ) -> None:
        """finish: name and data of the last event; called once, with what it came to."""
        super().__init__(headers={"x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._future, self._newest = future, newest
        self._ends_at, self._finish = ends_at, finish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        done = asyncio.wrap_future(self._future)
        gone = asyncio.ensure_future(wait_until_gone(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._send_partials(send, done, gone)
            name, data = self._finish(_outcome(done))
            await send(_event(name, data))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            done.cancel()  # which does nothing to one that is done
            gone.cancel()
            await asyncio.gather(done, gone, return_exceptions=True)

    async def _send_partials(
        self, send: Send, done: asyncio.Future[Summary], gone: asyncio.Future[None]
    ) -> None:
        """Until it is done, or long late. Raises: ClientGoneError."""
        last_text = ""
        until = self._ends_at + _LATE_S
        while not done.done() and (left := until - time.monotonic()) > 0:
            came = asyncio.ensure_future(self._newest.wait())
            try:
                waited: set[asyncio.Future[Any]] = {done, gone, came}
                seconds = min(_BEAT_S, left)
                await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                has_come = came.done()
            finally:
                came.cancel()
            if gone.done() and not done.done():
                raise ClientGoneError
            partial = self._newest.take() if has_come else None
            if partial is not None and partial.text != last_text:
                last_text = partial.text
                await send(_event("partial", {"text": partial.text}))
            elif not has_come and not done.done():
                await send({"type": "http.response.body", "body": b": \n\n", "more_body": True})


def _outcome(done: asyncio.Future[Summary]) -> Summary | BaseException:
    if not done.done() or done.cancelled():
        return GenerationInterrupted("out of time, and not done: allow more with timeout_s")
    return done.exception() or done.result()


def _event(name: str, data: object) -> dict[str, object]:
    """JSON has no newline in it, so it is one line of data."""
    body = b"event: " + name.encode() + b"\ndata: " + as_json(data) + b"\n\n"
    return {"type": "http.response.body", "body": body, "more_body": True}
