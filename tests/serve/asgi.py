"""An application called as a server calls it: messages in, messages out, a client that may go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import FastAPI

from pegasus_serve.app import make_app
from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from pegasus_serve.telemetry.logs import Log

__all__ = ["Call", "Reply", "Site", "run"]

JSON = {"content-type": "application/json"}


class Reply:
    """What came of a call."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        start = messages[0]
        assert start["type"] == "http.response.start"
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(each.get("body", b"") for each in messages[1:])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        error = self.json["error"]
        return error["code"], error["message"]


class Call:
    """One request that is under way."""

    def __init__(
        self,
        app: FastAPI,
        method: str,
        path: str,
        *,
        chunks: list[bytes],
        headers: Mapping[str, str],
        is_whole: bool,
        stuck: bool = False,
    ) -> None:
        self.sent: list[dict[str, Any]] = []
        self.is_stuck = stuck
        self._more = asyncio.Event()
        self._coming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for number, chunk in enumerate(chunks, start=1):
            more = number < len(chunks) or not is_whole
            self._coming.put_nowait({"type": "http.request", "body": chunk, "more_body": more})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        self.task = asyncio.ensure_future(app(scope, self._coming.get, self._send))

    def leave(self) -> None:
        """The client closes its connection."""
        self._coming.put_nowait({"type": "http.disconnect"})

    def is_waiting(self) -> bool:
        """Whether the application has read all that came."""
        return self._coming.empty()

    async def wait_for(self, text: bytes) -> None:
        """Until this has been sent."""
        while text not in b"".join(each.get("body", b"") for each in self.sent):
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 5)

    async def reply(self) -> Reply:
        await asyncio.wait_for(self.task, 10)
        return Reply(self.sent)

    async def _send(self, message: Any) -> None:
        if self.is_stuck and message["type"] == "http.response.body":
            await asyncio.Event().wait()
        self.sent.append(message)
        self._more.set()


class Site:
    """An application, and what it logged."""

    def __init__(self, *models: Model, settings: Settings | None = None) -> None:
        self.lines: list[str] = []
        log = Log(self.lines.append)
        named = {model.name: model for model in models}
        self.app = make_app(named, settings or Settings(), log=log)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        chunks: list[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        is_whole: bool = True,
        stuck: bool = False,
    ) -> Call:
        if chunks is None:
            chunks = [b"" if body is None else json.dumps(body).encode()]
        headers = {**JSON, **(headers or {})}
        return Call(
            self.app,
            method,
            path,
            chunks=chunks,
            headers=headers,
            is_whole=is_whole,
            stuck=stuck,
        )

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return await self.call("GET", path, headers=headers).reply()

    async def post(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return await self.call("POST", path, body=body, headers=headers).reply()

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.lines]
        return [line for line in lines if line["event"] == event]


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A scenario in an event loop of its own."""
    asyncio.run(scenario())
