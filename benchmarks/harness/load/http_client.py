"""HTTP/1.1 over asyncio's streams, as little of it as a generator of load needs.

A client library would take several times the processor time, from the server that is measured on
the same cores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "127.0.0.1"
READ_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """status: 200 and so on. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Connections:
    """Those to one port that are kept for the next request; opened as they are needed."""

    port: int
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def post(self, path: str, body: bytes) -> Response:
        """Raises: OSError, EOFError, ValueError where there is no answer that makes sense."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {HOST}:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        while self.idle:
            reader, writer = self.idle.pop()
            try:
                return await self._ask(reader, writer, head.encode() + body)
            except (ConnectionError, asyncio.IncompleteReadError) as err:
                if getattr(err, "partial", b""):
                    raise
                # The server closed it while it was idle, which is its right: the next one.
        reader, writer = await asyncio.open_connection(HOST, self.port, limit=READ_BYTES)
        return await self._ask(reader, writer, head.encode() + body)

    def close(self) -> None:
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes
    ) -> Response:
        try:
            writer.write(message)
            response = await read_response(reader)
        except BaseException:
            writer.close()
            raise
        if response.headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self.idle.append((reader, writer))
        return response


async def read_response(reader: asyncio.StreamReader) -> Response:
    """Raises: asyncio.IncompleteReadError, ValueError."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(" ", 2)
    if not words[0].startswith("HTTP/1.") or len(words) < 2:
        raise ValueError(f"this is no answer of HTTP/1: {head[0][:80]!r}")
    status = int(words[1])
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Response(status=status, headers=headers, body=body)
