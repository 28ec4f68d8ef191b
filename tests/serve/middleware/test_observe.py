"""What is around every request: id, headers, log line, and clients that stop reading."""

from __future__ import annotations

import asyncio
import json

import pytest

from pegasus_serve.served.models import Model
from pegasus_serve.settings import Settings
from pegasus_serve.wire.client_gone import SlowClientError
from serve.asgi import Site, run


def test_every_answer_has_the_headers_that_keep_it_safe(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        for path in ("/", "/health", "/v1/models", "/nothing", "/v1/summarize"):
            headers = (await site.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "server" not in headers
        assert (await site.get("/v1/models")).headers["cache-control"] == "no-store"

    run(scenario)


def test_a_clients_own_id_is_kept_where_it_is_a_word(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        reply = await site.get("/health", {"x-request-id": "job-7.a_b"})
        assert reply.headers["x-request-id"] == "job-7.a_b"
        for bad in ("a b", "x" * 65, 'a"b', "", "a\u00e9"):
            reply = await site.get("/health", {"x-request-id": bad})
            assert len(reply.headers["x-request-id"]) == 32
            assert reply.headers["x-request-id"] != bad
        assert site.logged("request")[0]["id"] == "job-7.a_b"

    run(scenario)


def test_a_line_is_logged_for_each_request(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        await site.get("/v1/nothing/" + "x" * 1000)
        (line,) = [json.loads(each) for each in site.lines]
        assert line["method"] == "GET"
        assert line["status"] == 404
        assert line["code"] == "path"
        assert len(line["path"]) == 100
        assert 0 <= line["seconds"] < 5
        assert line["time"].endswith("+00:00")
        metrics = (await site.get("/metrics")).body.decode()
        assert 'pegasus_http_requests_total{path="other",status="404"} 1.0' in metrics
        assert "xxx" not in metrics

    run(scenario)


def test_a_client_that_takes_no_answer_is_given_up(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny, settings=Settings(write_timeout_s=0.05))
        call = site.call("GET", "/v1/models", stuck=True)
        with pytest.raises(SlowClientError):
            await asyncio.wait_for(call.task, 5)
        (line,) = site.logged("request")
        assert line["code"] == "slow_client"

    run(scenario)
