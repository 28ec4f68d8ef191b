"""Answers every request at once, to see what the generator of load costs by itself.

python -m harness.load.null_server PORT
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys

from harness.load.http_client import HOST

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            found = _LENGTH.search(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(int(found[1]) if found else 0)
            writer.write(ANSWER)
            await writer.drain()
    writer.close()


async def serve(port: int) -> None:
    async with await asyncio.start_server(answer, HOST, port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
