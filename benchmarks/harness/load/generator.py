"""Sends load to a server, in a process of its own, so that the two share no interpreter lock.

    python -m harness.load.generator        reads a `Load` a line, writes a `LoadReply` each

It takes processor time of the same machine all the same: the reply says how much.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

from harness.load.http_client import Connections
from harness.load.protocol import Answer, Load, LoadReply


async def send_load(load: Load) -> LoadReply:
    """All of it; returns when the last answer is there, or its time is over."""
    connections, cpu_s, start = Connections(load.port), time.process_time(), time.perf_counter()
    bodies = [each.encode() for each in load.bodies]
    answers: list[Answer | None] = [None] * len(bodies)

    async def one(index: int, scheduled_s: float) -> None:
        answers[index] = await _ask(connections, load, bodies[index], scheduled_s, start)

    if load.clients:
        waiting = iter(range(len(bodies)))

        async def client(waiting: Iterator[int]) -> None:
            for index in waiting:
                await one(index, time.perf_counter() - start)

        await asyncio.gather(*(client(waiting) for _ in range(load.clients)))
    else:
        await asyncio.gather(*(one(index, at_s) for index, at_s in enumerate(load.arrivals_s)))
    seconds = time.perf_counter() - start
    connections.close()
    found = [each for each in answers if each is not None]
    return LoadReply(seconds=seconds, cpu_s=time.process_time() - cpu_s, answers=found)


async def _ask(
    connections: Connections, load: Load, body: bytes, scheduled_s: float, start: float
) -> Answer:
    await asyncio.sleep(start + scheduled_s - time.perf_counter())
    sent_s = time.perf_counter() - start
    status, retry_after, text = 0, "", ""
    try:
        async with asyncio.timeout(scheduled_s + load.timeout_s - sent_s):
            response = await connections.post(load.path, body)
        status, text = response.status, response.body.decode("utf-8", "replace")
        retry_after = response.headers.get("retry-after", "")
    except (OSError, EOFError, ValueError, TimeoutError) as err:
        text = f"{type(err).__name__}: {err}"
    return Answer(
        scheduled_s=scheduled_s,
        sent_s=sent_s,
        done_s=time.perf_counter() - start,
        status=status,
        retry_after=retry_after,
        body=text,
    )


def main() -> int:
    for line in sys.stdin:
        reply = asyncio.run(send_load(Load(**json.loads(line))))
        print(json.dumps(asdict(reply)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
