"""A Summarizer for asyncio: the event loop goes on while it works, and a cancelled task ends it."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar, overload

from pegasus_runtime.errors import BundleError
from pegasus_runtime.generation.failure import Errors, Failure
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, check_count
from pegasus_runtime.generation.watch import OnProgress
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.run import OnStep
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

if TYPE_CHECKING:
    import asyncio

# asyncio is imported where it is used, since it takes as long as all else: whoever awaits has it.

__all__ = ["AsyncSummarizer"]

_Result = TypeVar("_Result")
_END = object()


class AsyncSummarizer:
    """A loaded Summarizer, awaited; for any event loop, and several at once.

    A task that is cancelled ends what it waits for, at once, also within the encoder; it is over
    when the engine is free again. So `asyncio.timeout` is the time limit, in which waiting for a
    turn counts; `timeout_s` is one that raises with what was finished.

    >>> async with AsyncSummarizer(Summarizer.load("xsum")) as summarizer:     # doctest: +SKIP
    ...     print((await summarizer.summarize("A long text ...")).text)
    """

    def __init__(self, summarizer: Summarizer, *, max_concurrent: int = 1) -> None:
        """max_concurrent: calls that run together; others wait for their turn. An engine uses all
        cores for one, so more of them only share these.

        Raises: OptionsError.
        """
        from concurrent.futures import ThreadPoolExecutor

        check_count("max_concurrent", max_concurrent)
        self.summarizer = summarizer
        self._pool = ThreadPoolExecutor(max_concurrent, thread_name_prefix="pegasus-async")

    @overload  # a str is a Sequence[str] too; the first match is the one that counts
    async def summarize(  # type: ignore[overload-overlap]
        self,
        documents: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        timeout_s: float | None = None,
    ) -> Summary: ...

    @overload
    async def summarize(
        self,
        documents: Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Literal["raise"] = "raise",
        on_progress: OnProgress | None = None,
        timeout_s: float | None = None,
    ) -> list[Summary]: ...

    @overload
    async def summarize(
        self,
        documents: str | Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Errors,
        on_progress: OnProgress | None = None,
        timeout_s: float | None = None,
    ) -> Summary | Failure | list[Summary | Failure]: ...

    async def summarize(
        self,
        documents: str | Sequence[str],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Errors = "raise",
        on_progress: OnProgress | None = None,
        timeout_s: float | None = None,
    ) -> Summary | Failure | Sequence[Summary | Failure]:
        """See `Summarizer.summarize`; on_progress is called in the event loop."""
        cancel = threading.Event()
        call = partial(
            self.summarizer.summarize,
            documents,
            options,
            truncate=truncate,
            long=long,
            errors=errors,
            on_progress=_in_loop(on_progress),
            cancel=cancel,
            timeout_s=timeout_s,
        )
        return await self._run(call, cancel)

    def summarize_each(
        self,
        documents: Iterable[str | Encoding],
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        errors: Errors = "raise",
        batch_size: int | None = None,
        window: int = WINDOW_DOCUMENTS,
        on_progress: OnProgress | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Summary | Failure, None]:
        """See `Summarizer.summarize_each`; documents are read in another thread, on_progress is
        called in the event loop."""
        cancel = threading.Event()
        begin = partial(
            self.summarizer.summarize_each,
            documents,
            options,
            truncate=truncate,
            long=long,
            errors=errors,
            batch_size=batch_size,
            window=window,
            on_progress=_in_loop(on_progress),
            cancel=cancel,
            timeout_s=timeout_s,
        )
        return self._each(begin, cancel)

    def stream(
        self,
        document: str | Encoding,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        long: Long | None = None,
        on_step: OnStep | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Partial | Summary, None]:
        """See `Summarizer.stream`; on_step is called in the event loop."""
        cancel = threading.Event()
        begin = partial(
            self.summarizer.stream,
            document,
            options,
            truncate=truncate,
            long=long,
            on_step=_in_loop(on_step),
            cancel=cancel,
            timeout_s=timeout_s,
        )
        return self._each(begin, cancel)

    async def close(self) -> None:
        """Lets what runs end, then go of the engine and its memory."""
        import asyncio

        await asyncio.to_thread(self._pool.shutdown)
        self.summarizer.close()

    async def __aenter__(self) -> AsyncSummarizer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _each(
        self, begin: Callable[[], Iterator[_Result]], cancel: threading.Event
    ) -> AsyncGenerator[_Result, None]:
        """Each result in a turn of its own: between two of them, others have theirs."""
        results = await self._run(begin, cancel)
        try:
            while (result := await self._run(partial(next, results, _END), cancel)) is not _END:
                yield result
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()

    async def _run(self, call: Callable[[], _Result], cancel: threading.Event) -> _Result:
        """The result, of a thread; when the task is cancelled, not before that thread is done."""
        import asyncio

        try:
            future = self._pool.submit(call)
        except RuntimeError as err:
            raise BundleError(
                f"{self.summarizer.bundle.folder}: the AsyncSummarizer is closed: load it again"
            ) from err
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            cancel.set()
            future.cancel()  # if it has not begun
            await _settle(waiting)
            raise


async def _settle(waiting: asyncio.Future[_Result]) -> None:
    """Until it is done, however often its task is cancelled meanwhile; what it raises is told."""
    import asyncio

    while not waiting.done():
        try:
            await asyncio.wait([waiting])
        except asyncio.CancelledError:
            continue
    if not waiting.cancelled():
        waiting.exception()


def _in_loop(tell: Callable[[int, int], None] | None) -> Callable[[int, int], None] | None:
    """What another thread may call, to have it called in this one's event loop."""
    import asyncio

    if tell is None:
        return None
    loop = asyncio.get_running_loop()

    def tell_there(done: int, known: int) -> None:
        loop.call_soon_threadsafe(tell, done, known)

    return tell_there
