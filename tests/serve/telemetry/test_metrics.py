"""What Prometheus is told, held against what was done."""

from __future__ import annotations

import dataclasses

from prometheus_client.parser import text_string_to_metric_families

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime.batcher.counters import Counters
from pegasus_serve.served.models import Model
from serve.asgi import Site, run
from serve.fake_batcher import FakeBatcher

TEXT = tiny_sentences()[0]


async def read(site: Site) -> dict[tuple[str, ...], float]:
    """(name, *label values) -> value."""
    reply = await site.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_requests_and_what_was_seen_of_documents_are_counted(tiny: Model) -> None:
    async def scenario() -> None:
        site = Site(tiny)
        body = {
            "inputs": [TEXT, "<p>中文</p>\u0007 <br> <b>中文</b>"],
            "parameters": {"max_new_tokens": 3},
        }
        await site.post("/v1/summarize", body)
        await site.post("/v1/summarize", {"inputs": 4})
        found = await read(site)
        assert found["pegasus_http_requests_total", "/v1/summarize", "200"] == 1
        assert found["pegasus_http_requests_total", "/v1/summarize", "422"] == 1
        assert found["pegasus_http_request_seconds_count", "/v1/summarize"] == 2
        assert found["pegasus_unknown_share_count", "tiny"] == 2
        assert found["pegasus_unknown_share_bucket", "0.01", "tiny"] < 2
        assert found["pegasus_truncated_documents_total", "tiny"] == 0
        assert found["pegasus_html_documents_total", "tiny"] == 1
        assert found["pegasus_control_characters_total", "tiny"] == 1
        assert found["pegasus_model_info", "tiny", "fp32", "ort", "summarization"] == 1
        assert found["pegasus_model_ready", "tiny"] == 1
        assert found[("pegasus_ready",)] == 1
        assert found[("pegasus_http_requests_in_flight",)] == 0
        assert found[("process_open_fds",)] > 0

    run(scenario)


def test_the_batchers_counters_are_told_as_they_are(tiny: Model, batcher: FakeBatcher) -> None:
    async def scenario() -> None:
        names = [field.name for field in dataclasses.fields(Counters)]
        names.remove("batch_sizes")
        batcher.counts = Counters(
            **{name: number for number, name in enumerate(names, start=1)},  # type: ignore[arg-type]
            batch_sizes=(4, 0, 2),
        )
        found = await read(Site(tiny))
        told = {
            "submitted": "pegasus_documents_submitted_total",
            "refused": "pegasus_documents_refused_total",
            "finished": "pegasus_documents_finished_total",
            "failed": "pegasus_documents_failed_total",
            "cancelled": "pegasus_documents_cancelled_total",
            "expired": "pegasus_documents_expired_total",
            "batches": "pegasus_batches_total",
            "batched_documents": "pegasus_batched_documents_total",
            "steps": "pegasus_steps_total",
            "waiting": "pegasus_queue_documents",
            "waiting_tokens": "pegasus_queue_tokens",
            "running": "pegasus_running_documents",
            "source_tokens": "pegasus_source_tokens_total",
            "summary_tokens": "pegasus_summary_tokens_total",
            "waited_s": "pegasus_queue_wait_seconds_total",
            "ran_s": "pegasus_run_seconds_total",
        }
        assert list(told) == names
        for number, name in enumerate(names, start=1):
            assert found[told[name], "tiny"] == number, name
        sizes = [
            found["pegasus_batch_size_bucket", each, "tiny"] for each in ("1.0", "2.0", "+Inf")
        ]
        assert sizes == [4, 4, 6]

    run(scenario)


def test_a_classifiers_queue_is_told_and_two_apps_do_not_meet(topics: Model, tiny: Model) -> None:
    async def scenario() -> None:
        first, second = Site(topics), Site(tiny, Model("later", lambda: tiny.served))  # type: ignore[arg-type,return-value]
        await first.get("/health")
        found = await read(second)
        assert ("pegasus_http_requests_total", "/health", "200") not in found
        assert found["pegasus_model_ready", "later"] == 0
        assert found[("pegasus_ready",)] == 0
        assert (await read(first))["pegasus_head_queue", "topics"] == 0

    run(scenario)
