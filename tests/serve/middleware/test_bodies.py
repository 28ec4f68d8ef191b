"""Bodies: too large, too slow, too many at a time, and clients that give up in the middle."""

from __future__ import annotations

import asyncio

from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from serve.asgi import Site, run

SMALL = Settings(max_body_bytes=100, max_body_total_bytes=150, body_timeout_s=0.1)
EXPECTS = {"expect": "100-continue", "content-length": "5000"}


def test_a_body_over_the_limit_is_refused_by_its_length_and_while_it_comes(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=SMALL)
        for headers in ({"content-length": "600"}, {}):
            chunks = [b"x" * 60] * 10
            call = site.call("POST", "/v1/summarize", chunks=chunks, headers=headers)
            reply = await call.reply()
            assert (reply.status, reply.error[0]) == (413, "body_size")
            assert "the server takes 100: send less in one request" in reply.error[1]
            assert "connection" not in reply.headers  # it was read to its end
        # A client that asks first is told at once, and nothing of its body is waited for.
        call = site.call("POST", "/v1/summarize", chunks=[], headers=EXPECTS)
        reply = await call.reply()
        assert reply.status == 413
        assert reply.headers["connection"] == "close"

    run(scenario)


def test_a_body_at_the_limit_is_taken(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=SMALL)
        body = b'{"inputs": "a", "model": "' + b"x" * 72 + b'"}'
        assert len(body) == 100
        for _ in range(3):  # what was held is given back
            reply = await site.call("POST", "/v1/summarize", chunks=[body[:50], body[50:]]).reply()
            assert (reply.status, reply.error[0]) == (404, "model")

    run(scenario)


def test_a_body_that_does_not_come_is_given_up(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=SMALL)
        call = site.call("POST", "/v1/summarize", chunks=[b'{"inputs"'], is_whole=False)
        reply = await call.reply()
        assert (reply.status, reply.error[0]) == (408, "slow_body")
        assert reply.headers["connection"] == "close"

    run(scenario)


def test_all_bodies_together_are_bounded(tiny: Model) -> None:
    async def scenario() -> None:
        settings = Settings(max_body_bytes=100, max_body_total_bytes=150)
        site = Site(tiny, settings=settings)
        first = site.call("POST", "/v1/summarize", chunks=[b"x" * 90], is_whole=False)
        await asyncio.sleep(0)
        while first.task.done() is False and not first.is_waiting():
            await asyncio.sleep(0)
        reply = await site.call("POST", "/v1/summarize", chunks=[b"x" * 90]).reply()
        assert (reply.status, reply.error[0]) == (503, "overloaded")
        assert "retry-after" in reply.headers
        first.leave()
        await asyncio.wait_for(first.task, 5)
        assert first.sent == []
        reply = await site.call("POST", "/v1/summarize", chunks=[b"x" * 90]).reply()
        assert (reply.status, reply.error[0]) == (400, "json")
        assert [line["status"] for line in site.logged("request")] == [503, 499, 400]

    run(scenario)
