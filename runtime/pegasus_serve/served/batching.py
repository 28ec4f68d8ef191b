"""What the server needs of a Batcher."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from pegasus_runtime.batcher.counters import Counters
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["Batching"]


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

    def counters(self) -> Counters: ...

    def close(self, *, finish: bool = True) -> None: ...
