"""A summarizer with its batcher: documents in, futures out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pegasus_runtime.batcher.counters import Counters
from pegasus_runtime.bundle import Manifest
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding
from pegasus_serve.served.batching import Batching
from pegasus_serve.served.handed_in import HandedIn, seconds_left

__all__ = ["ServedSummarizer", "SummaryOrder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOrder:
    """What is asked for each document of a request."""

    options: GenerationOptions
    ends_at: float
    """A time of `time.monotonic`."""
    long: Long = "error"
    priority: int = 0


class ServedSummarizer:
    """One bundle for summarization; its methods may be called from several threads."""

    def __init__(self, summarizer: Summarizer, batcher: Batching, *, max_queue: int) -> None:
        """max_queue: that of the batcher."""
        self.summarizer = summarizer
        self.batcher = batcher
        self._max_queue = max_queue

    @property
    def manifest(self) -> Manifest:
        return self.summarizer.bundle.manifest

    def check(self, options: GenerationOptions) -> None:
        """Before a document is encoded. Raises: OptionsError."""
        self.summarizer.resolve(options)

    def hand_in(
        self,
        text: str,
        order: SummaryOrder,
        on_partial: Callable[[Partial], None] | None = None,
    ) -> HandedIn[Summary]:
        """Encodes a document, which takes its time, and submits it.

        Raises: InputError, OptionsError, Overloaded; GenerationInterrupted if it is late already.
        """
        seconds_left(order.ends_at)  # before the work of encoding
        document: str | Encoding = text
        source_tokens = 0
        is_full = self.batcher.counters().waiting >= self._max_queue  # it is refused as it is
        if order.long != "chunk" and not is_full:
            document = self.summarizer.encode(text, truncate=order.long == "truncate")
            source_tokens = len(document.token_ids)
        future = self.batcher.submit(
            document,
            order.options,
            long=order.long,
            priority=order.priority,
            deadline_s=seconds_left(order.ends_at),
            on_partial=on_partial,
        )
        return HandedIn(future=future, source_tokens=source_tokens)

    def counters(self) -> Counters:
        """For the metrics."""
        return self.batcher.counters()

    def close(self, *, finish: bool = True) -> None:
        """Ends it; finish: after what waits and runs."""
        self.batcher.close(finish=finish)
        self.summarizer.close()
