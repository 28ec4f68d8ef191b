"""What the server needs of a Batcher, and of its counters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding
from pegasus_serve.wire.request_models import Long

__all__ = ["BatchCounters", "Batching"]


class BatchCounters(Protocol):
    """Totals since the start, unless said; see `Batcher.counters`."""

    @property
    def submitted(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def finished(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def cancelled(self) -> int: ...
    @property
    def expired(self) -> int: ...
    @property
    def batches(self) -> int: ...
    @property
    def batched_documents(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def waiting_tokens(self) -> int: ...
    @property
    def running(self) -> int: ...
    @property
    def source_tokens(self) -> int: ...
    @property
    def summary_tokens(self) -> int: ...
    @property
    def waited_s(self) -> float: ...
    @property
    def ran_s(self) -> float: ...
    @property
    def batch_sizes(self) -> Sequence[int]: ...


class Batching(Protocol):
    """See `Batcher`."""

    def submit(
        self,
        document: str | Encoding,
        options: GenerationOptions | None = None,
        *,
        long: Long = "error",
        priority: int = 0,
        deadline_s: float | None = None,
        on_partial: Callable[[Partial], None] | None = None,
    ) -> Future[Summary]: ...

    def counters(self) -> BatchCounters: ...

    def close(self, *, finish: bool = True) -> None: ...
