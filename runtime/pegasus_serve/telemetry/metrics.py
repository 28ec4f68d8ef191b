"""What Prometheus is told: requests, and what the batchers count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pegasus_runtime.batcher.counters import Counters
from pegasus_serve.served.models import Model
from pegasus_serve.served.served_summarizer import ServedSummarizer
from pegasus_serve.wire.request_record import RequestRecord

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SHARES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
_TOTALS: Mapping[str, tuple[str, Callable[[Counters], float]]] = {
    "pegasus_documents_submitted": ("Documents taken", lambda c: c.submitted),
    "pegasus_documents_refused": ("Documents refused: the queue was full", lambda c: c.refused),
    "pegasus_documents_finished": ("Documents summarised", lambda c: c.finished),
    "pegasus_documents_failed": ("Documents on which the engine failed", lambda c: c.failed),
    "pegasus_documents_cancelled": ("Documents withdrawn", lambda c: c.cancelled),
    "pegasus_documents_expired": ("Documents out of time", lambda c: c.expired),
    "pegasus_batches": ("Batches run", lambda c: c.batches),
    "pegasus_batched_documents": ("Documents in those batches", lambda c: c.batched_documents),
    "pegasus_steps": ("Decoder steps", lambda c: c.steps),
    "pegasus_source_tokens": ("Tokens of documents", lambda c: c.source_tokens),
    "pegasus_summary_tokens": ("Tokens of summaries", lambda c: c.summary_tokens),
    "pegasus_queue_wait_seconds": ("Seconds that documents waited", lambda c: c.waited_s),
    "pegasus_run_seconds": ("Seconds that documents ran", lambda c: c.ran_s),
}
_NOW: Mapping[str, tuple[str, Callable[[Counters], float]]] = {
    "pegasus_queue_documents": ("Documents that wait", lambda c: c.waiting),
    "pegasus_queue_tokens": ("Their tokens", lambda c: c.waiting_tokens),
    "pegasus_running_documents": ("Documents that run", lambda c: c.running),
}


class Metrics:
    """A registry of its own, so that several apps of a process do not meet."""

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        is_ready: Callable[[], bool],
        in_flight: Callable[[], int],
    ) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "pegasus_http_requests",
            "Requests answered; status 499: the client had gone",
            ["path", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "pegasus_http_request_seconds",
            "Seconds from a request's head to the end of its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.unknown_share = Histogram(
            "pegasus_unknown_share",
            "Share of a document's characters that the tokenizer does not know",
            ["model"],
            buckets=_SHARES,
            registry=self.registry,
        )
        self.html = self._per_model("pegasus_html_documents", "Documents that look like HTML")
        self.control = self._per_model(
            "pegasus_control_characters", "Control characters in documents"
        )
        self.truncated = self._per_model("pegasus_truncated_documents", "Documents that were cut")
        self.registry.register(_FromModels(models))
        ProcessCollector(registry=self.registry)
        Gauge(
            "pegasus_ready",
            "Whether all models are loaded, and requests taken",
            registry=self.registry,
        ).set_function(lambda: float(is_ready()))
        Gauge(
            "pegasus_http_requests_in_flight", "Requests that are worked on", registry=self.registry
        ).set_function(lambda: float(in_flight()))

    def count(self, record: RequestRecord, path: str) -> None:
        """A request that is over; path: of a route, so that there are few."""
        self.requests.labels(path, str(record.status)).inc()
        self.seconds.labels(path).observe(record.seconds)

    def count_document(
        self, model: str, *, unknown_share: float, truncated: bool, html: bool, control: int
    ) -> None:
        """What was seen of a document that was read."""
        self.unknown_share.labels(model).observe(unknown_share)
        self.truncated.labels(model).inc(truncated)
        self.html.labels(model).inc(html)
        self.control.labels(model).inc(control)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

    def _per_model(self, name: str, what: str) -> Counter:
        return Counter(name, what, ["model"], registry=self.registry)


class _FromModels(Collector):
    """Read off when somebody asks: nothing is counted twice."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        yield from _describe(self._models)
        counters = {
            name: model.served.counters()
            for name, model in self._models.items()
            if isinstance(model.served, ServedSummarizer)
        }
        for name, (what, read) in _TOTALS.items():
            total = CounterMetricFamily(name, what, labels=["model"])
            for model, each in counters.items():
                total.add_metric([model], read(each))
            yield total
        for name, (what, read) in _NOW.items():
            now = GaugeMetricFamily(name, what, labels=["model"])
            for model, each in counters.items():
                now.add_metric([model], read(each))
            yield now
        sizes = HistogramMetricFamily(
            "pegasus_batch_size", "Documents of a batch", labels=["model"]
        )
        for model, each in counters.items():
            sizes.add_metric([model], _buckets(each.batch_sizes), each.batched_documents)
        yield sizes


def _describe(models: Mapping[str, Model]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("pegasus_model_ready", "Whether it is loaded", labels=["model"])
    told = GaugeMetricFamily(
        "pegasus_model_info", "What is served", labels=["model", "task", "target", "precision"]
    )
    waiting = GaugeMetricFamily("pegasus_head_queue", "Texts that wait or run", labels=["model"])
    for name, model in models.items():
        ready.add_metric([name], float(model.served is not None))
        if model.served is not None:
            manifest = model.served.manifest
            told.add_metric([name, manifest.task, manifest.target, manifest.precision], 1.0)
            if not isinstance(model.served, ServedSummarizer):
                waiting.add_metric([name], float(model.served.queue.waiting))
    yield from (ready, told, waiting)


def _buckets(sizes: Sequence[int]) -> list[tuple[str, float]]:
    """Batches of 1, 2, ... documents, the last of so many or more, to Prometheus' buckets."""
    total, buckets = 0, []
    for size, count in enumerate(sizes, start=1):
        total += count
        buckets.append(("+Inf" if size == len(sizes) else f"{size}.0", float(total)))
    return buckets or [("+Inf", 0.0)]
