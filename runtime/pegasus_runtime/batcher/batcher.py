"""The facade: documents of many callers in, each with options of its own; futures out."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Hashable
from functools import partial
from numbers import Integral, Real
from types import TracebackType
from typing import TYPE_CHECKING

from pegasus_runtime.batcher.counters import Counters
from pegasus_runtime.batcher.desk import Desk, Limits
from pegasus_runtime.batcher.outcomes import is_called_out
from pegasus_runtime.batcher.request import OnPartial, Request
from pegasus_runtime.batcher.run_batch import run_batch
from pegasus_runtime.batcher.windows import Windows
from pegasus_runtime.batcher.worker import Workers
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.batching import Plan
from pegasus_runtime.generation.stream import check_count
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tasks.long_documents.drive import begin_chunked
from pegasus_runtime.tasks.long_documents.long import Long, check_streamed, resolve_long
from pegasus_runtime.tasks.run import plan_any_lengths
from pegasus_runtime.tasks.source import check_encoding
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Batcher"]


class Batcher:
    """Joins the documents of many threads or coroutines into batches of one Summarizer.

    Each has options, a priority and a deadline of its own, and may be cancelled, while it runs,
    too. Its summary is that of the document alone.

    >>> with Batcher(summarizer) as batcher:     # doctest: +SKIP
    ...     future = batcher.submit("A long text ...", priority=1, deadline_s=10)
    ...     print(future.result().text)
    """

    def __init__(
        self,
        summarizer: Summarizer,
        *,
        max_queue: int = 256,
        max_wait_ms: float = 5.0,
        batch_size: int | None = None,
        max_queue_tokens: int | None = None,
        workers: int = 1,
    ) -> None:
        """summarizer: stays open when this is closed.
        max_queue, max_queue_tokens: documents that may wait, and their tokens; more are refused.
        Where nothing waits, one document is taken, however long.
        max_wait_ms: that a document waits for others to run with, while the engine is free.
        batch_size: runs no more documents together (default: as many as memory allows).
        workers: batches that run at once, and share the engine's threads.

        Raises: OptionsError; BundleError and EngineError if the summarizer cannot be used.
        """
        check_count("max_queue", max_queue)
        check_count("batch_size", 1 if batch_size is None else batch_size)
        check_count("max_queue_tokens", 1 if max_queue_tokens is None else max_queue_tokens)
        check_count("workers", workers)
        _check_time("max_wait_ms", max_wait_ms, "milliseconds")
        summarizer._open_engine()
        manifest = summarizer.bundle.manifest

        def plan(settings: Hashable) -> Plan:
            assert isinstance(settings, SearchSettings)
            return plan_any_lengths(manifest, settings, batch_size)

        limits = Limits(
            max_queue=max_queue, max_queue_tokens=max_queue_tokens, max_wait_s=max_wait_ms / 1000
        )
        self.summarizer = summarizer
        self._process = os.getpid()
        name = f"{summarizer.bundle.folder}: the Batcher"
        self._desk = Desk(name, limits, plan, workers=workers)
        self._workers = Workers(self._desk, partial(run_batch, summarizer))
        weakref.finalize(self, _abandon, self._desk, self._process).atexit = False

    def submit(
        self,
        document: str | Encoding,
        options: GenerationOptions | None = None,
        *,
        long: Long = "error",
        priority: int = 0,
        deadline_s: float | None = None,
        on_partial: OnPartial | None = None,
    ) -> Future[Summary]:
        """The future summary of one document.

        document: a text, or what `Summarizer.encode` makes of it. long: "truncate" cuts a text that
        is over the bundle's limit; "chunk" submits its windows, each of which counts as a document,
        and joins their summaries (see `Summarizer.summarize`). priority: higher ones go first.
        deadline_s: from now on, waiting included. on_partial: told what is certain of the summary,
        whenever that is more (see `Summarizer.stream`); it is called in another thread, and what it
        raises is the future's error. Neither it nor a callback of the future may take long: the
        others wait meanwhile.

        `Future.cancel` works at any time: the document leaves before the next step.
        `asyncio.wrap_future` makes it awaitable, and a cancelled task cancels it.

        Raises: at once InputError, OptionsError, and Overloaded if the queue is full or closing;
        BundleError when it is closed; EngineError in a forked process. The future raises
        EngineError, GenerationInterrupted past the deadline, and what else `Summarizer.summarize`
        raises of a document.
        """
        self.summarizer._open_engine()
        _check_request(long, priority, deadline_s)
        self._desk.check_room()
        settings = self.summarizer.resolve(options)
        if long == "chunk":
            check_streamed(None if on_partial is None else long)
            begun = begin_chunked(self.summarizer.chunker(options), document)
            return Windows(begun, self._put_windows(priority, deadline_s)).future
        if isinstance(document, Encoding):
            check_encoding(document, self.summarizer.bundle.manifest)
            encoding = document
        else:
            encoding = self.summarizer.encode(document, truncate=long == "truncate")
        request = Request(
            encoding=encoding,
            settings=settings,
            priority=priority,
            deadline_s=deadline_s,
            on_partial=on_partial,
        )
        self._desk.put(request)
        return request.future

    def _put_windows(
        self, priority: int, deadline_s: float | None
    ) -> Callable[[Encoding, GenerationOptions], Future[Summary]]:
        """What takes the windows of one document, once there is room for the first."""
        desk, resolve, start = self._desk, self.summarizer.resolve, self._desk.clock()
        is_first = [True]

        def put(encoding: Encoding, options: GenerationOptions) -> Future[Summary]:
            request = Request(
                encoding=encoding,
                settings=resolve(options),
                priority=priority,
                deadline_s=deadline_s,
                on_partial=None,
                counts_from=start,
            )
            desk.put(request, is_part=not is_first[0])
            is_first[0] = False
            return request.future

        return put

    def summarize(
        self,
        document: str | Encoding,
        options: GenerationOptions | None = None,
        *,
        long: Long = "error",
        priority: int = 0,
        deadline_s: float | None = None,
    ) -> Summary:
        """Submits a document and waits for its summary; whoever interrupts that cancels it.

        Raises: as `submit` and its future; OptionsError within `on_partial` or a callback.
        """
        if is_called_out():
            raise OptionsError(
                "summarize was called in a Batcher's own thread, which would wait for itself: "
                "call submit in callbacks"
            )
        future = self.submit(document, options, long=long, priority=priority, deadline_s=deadline_s)
        try:
            return future.result()
        finally:
            future.cancel()  # if waiting was interrupted; otherwise it is done

    def counters(self) -> Counters:
        """What was done so far, and what waits and runs.

        Raises: EngineError in a forked process.
        """
        if os.getpid() != self._process:
            self.summarizer._open_engine()  # says so; the lock may never be free here
        return self._desk.counters()

    def close(self, *, finish: bool = True) -> None:
        """Refuses what comes, and returns when nothing runs any more; the Summarizer stays open.

        finish: all that waits and runs is done first; otherwise it is a GenerationInterrupted. In
        a callback it does not wait.
        """
        if os.getpid() != self._process:  # a fork has no threads to wait for, and perhaps a lock
            return
        self._desk.close(finish=finish)
        if not is_called_out():
            self._workers.join()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(finish=error is None)


def _abandon(desk: Desk, process: int) -> None:
    """Lets go of a Batcher that is no more: whoever has a future gets what it waits for."""
    if os.getpid() == process:
        desk.close(finish=True)


def _check_time(name: str, value: object, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0:
        raise OptionsError(f"{name} is {value!r}, expected a number of {unit} from 0 up")


def _check_request(long: Long, priority: object, deadline_s: object) -> None:
    """Raises: OptionsError."""
    resolve_long(long, truncate=False)
    if not isinstance(priority, Integral) or isinstance(priority, bool):
        raise OptionsError(f"priority is {priority!r}, expected an integer")
    if deadline_s is not None:
        _check_time("deadline_s", deadline_s, "seconds")
