"""A client that does not wait for its answer: work for it is withdrawn."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

__all__ = ["ClientGoneError", "SlowClientError", "wait_until_gone", "while_connected"]

T = TypeVar("T")


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class SlowClientError(Exception):
    """It takes no more of its answer: the connection is closed."""


async def wait_until_gone(receive: Receive) -> None:
    """Returns when the client disconnects; its request has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, which is cancelled when the client goes. Raises: ClientGoneError."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(wait_until_gone(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)
