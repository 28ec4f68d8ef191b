"""Who comes in."""

from __future__ import annotations

import asyncio

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from serve.asgi import Site, run
from serve.fake_batcher import FakeBatcher

TEXT = tiny_sentences()[0]
TOKEN = "a-token-of-many-letters"


def test_so_many_requests_are_worked_on_and_probes_go_on(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        batcher.holds = True
        site = Site(tiny, settings=Settings(max_requests=1))
        first = site.call("POST", "/v1/summarize", body={"inputs": TEXT})
        await asyncio.to_thread(batcher.wait_for_documents, 1)
        reply = await site.get("/v1/models")
        assert (reply.status, reply.error[0]) == (503, "overloaded")
        assert reply.headers["retry-after"] == "1"
        assert (await site.get("/health")).status == 200
        assert b"pegasus_http_requests_in_flight 1.0" in (await site.get("/metrics")).body
        batcher.finish(batcher.held[0])
        await first.reply()
        assert (await site.get("/v1/models")).status == 200

    run(scenario)


@pytest.mark.parametrize(
    "given",
    [None, "Bearer", "Bearer wrong-token-of-letters", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}é"],
)
def test_without_the_token_nothing_is_answered_but_probes_and_the_page(
    tiny: Model, batcher: FakeBatcher, given: str | None
) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=Settings(token=TOKEN))
        headers = {} if given is None else {"authorization": given}
        for path in ("/v1/models", "/metrics", "/nothing"):
            reply = await site.get(path, headers)
            assert (reply.status, reply.error[0]) == (401, "token")
            assert reply.headers["www-authenticate"] == "Bearer"
        reply = await site.post("/v1/summarize", {"inputs": TEXT}, headers)
        assert reply.status == 401
        assert batcher.held == []
        for path in ("/health", "/ready", "/", "/openapi.json"):
            assert (await site.get(path, headers)).status == 200
        assert not any(TOKEN in line for line in site.lines)

    run(scenario)


def test_with_the_token_all_is_answered(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=Settings(token=TOKEN))
        for given in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            headers = {"authorization": given}
            assert (await site.get("/v1/models", headers)).status == 200
            assert (await site.get("/metrics", headers)).status == 200
        assert not any(TOKEN in line for line in site.lines)

    run(scenario)


def test_pages_of_others_read_answers_only_where_they_may(tiny: Model) -> None:
    async def scenario() -> None:
        origin = {"origin": "https://example.org"}
        reply = await Site(tiny).get("/health", origin)
        assert "access-control-allow-origin" not in reply.headers
        settings = Settings(allow_origins=("https://example.org",), token=TOKEN)
        site = Site(tiny, settings=settings)
        reply = await site.get("/v1/models", origin)  # errors, too
        assert reply.status == 401
        assert reply.headers["access-control-allow-origin"] == "https://example.org"
        asks = {**origin, "access-control-request-method": "POST"}
        preflight = await site.call("OPTIONS", "/v1/summarize", headers=asks).reply()
        assert preflight.status == 200
        reply = await site.get("/health", {"origin": "https://example.com"})
        assert "access-control-allow-origin" not in reply.headers

    run(scenario)
