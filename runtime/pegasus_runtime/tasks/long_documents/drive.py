"""Documents in windows through the batches of a summarizer: those of all documents run together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from pegasus_runtime.errors import GenerationInterrupted, PegasusError
from pegasus_runtime.generation.failure import Errors, Failure, record_failure
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, run_stream
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.chunked import Chunked, Chunker, Requests
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.run import Run
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["Begun", "RunWith", "begin_chunked", "each_summary", "run_chunked"]

RunWith: TypeAlias = Callable[[GenerationOptions | None], Run[Encoding, Summary]]
"""How documents run with options."""


@dataclass(slots=True, kw_only=True)
class Begun:
    """A document, and what it wants summarised next."""

    chunked: Chunked
    requests: Requests
    found: list[Summary | None] = field(default_factory=list)
    result: Summary | Failure | None = None

    def take(self, place: int, summary: Summary) -> Requests:
        """Takes the summary of a request; what it wants after the last of them."""
        self.found[place] = summary
        if any(each is None for each in self.found):
            return []
        try:
            wanted = self.chunked.send([each for each in self.found if each is not None])
        except StopIteration as end:
            self.result = end.value
            return []
        self.found = [None] * len(wanted)
        return wanted


def begin_chunked(chunker: Chunker, document: str | Encoding) -> Begun:
    """A document as far as its first windows. Raises: InputError."""
    chunked = chunker.begin(document)
    requests = next(chunked)
    return Begun(chunked=chunked, requests=requests, found=[None] * len(requests))


def each_summary(
    items: Iterable[Encoding | Begun | Failure],
    run_with: RunWith,
    options: GenerationOptions | None,
    long: Long,
    errors: Errors,
    *,
    on_read: Callable[[], None] = lambda: None,
    window: int = WINDOW_DOCUMENTS,
) -> Iterator[Summary | Failure]:
    """One summary per item, in order: of documents that were begun, where they are in windows.

    The arguments, and what is raised, are `run_stream`'s.
    """
    run = run_with(options)
    if long != "chunk":
        encodings = cast("Iterable[Encoding | Failure]", items)
        return run.each(encodings, errors, on_read=on_read, window=window)
    begun = cast("Iterable[Begun | Failure]", items)
    return run_chunked(
        begun, run_with, errors=errors, on_done=run.watch.count, on_read=on_read, window=window
    )


def run_chunked(
    documents: Iterable[Begun | Failure],
    run_with: RunWith,
    *,
    errors: Errors,
    on_done: Callable[[int], None],
    on_read: Callable[[], None] = lambda: None,
    window: int = WINDOW_DOCUMENTS,
) -> Iterator[Summary | Failure]:
    """One summary per document, in order; the arguments, and what is raised, are `run_stream`'s."""
    feed = _Feed(documents, errors, on_done, window)

    def plan_alike(lengths: Mapping[int, int]) -> list[Sequence[int]]:
        """Those with the same options together."""
        groups: dict[int, dict[int, int]] = {}
        for number, length in lengths.items():
            groups.setdefault(id(feed.options[number]), {})[number] = length
        return [
            batch
            for group in groups.values()
            for batch in run_with(feed.options[next(iter(group))]).plan(group)
        ]

    results = run_stream(
        feed,
        lambda batch: run_with(batch[0].options).run_batch([each.encoding for each in batch]),
        plan_alike,
        length=lambda request: len(request.encoding.token_ids),
        errors=errors,
        on_done=lambda count: None,
        on_read=on_read,
        window=window,
    )
    try:
        for result in results:
            feed.take(result)
            yield from feed.give()
    except GenerationInterrupted as err:
        err.results = feed.interrupted(err.results)
        raise
    yield from feed.give()
    if feed.broken is not None:
        raise feed.broken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Request:
    document: int
    place: int
    encoding: Encoding
    options: GenerationOptions


class _Feed:
    """The requests of the documents that were read; more may come after the last one was given."""

    def __init__(
        self,
        documents: Iterable[Begun | Failure],
        errors: Errors,
        on_done: Callable[[int], None],
        window: int,
    ) -> None:
        self.documents = iter(documents)
        self.errors: Errors = errors
        self.on_done = on_done
        self.window = window
        self.begun: dict[int, Begun | Failure] = {}
        """Those that were read and not given out."""
        self.oldest = self.num_read = 0
        self.waiting: deque[_Request] = deque()
        self.running: dict[int, _Request] = {}
        self.num_requests = self.num_results = 0
        self.options: dict[int, GenerationOptions] = {}
        self.broken: Exception | None = None

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> _Request:
        while not self.waiting or self._has_failed(self.waiting[0]):
            if self.waiting:
                self.waiting.popleft()
            else:
                self._read()
        request = self.waiting.popleft()
        self.running[self.num_requests] = request
        self.options[self.num_requests] = request.options
        self.num_requests += 1
        return request

    def _has_failed(self, request: _Request) -> bool:
        """Whether another request of its document did."""
        return not isinstance(self.begun.get(request.document), Begun)

    def _read(self) -> None:
        """Raises: StopIteration where there is nothing to read, for now at least."""
        last = self.begun.get(self.num_read - 1)
        will_raise = isinstance(last, Failure) and self.errors == "raise"
        if will_raise or self.broken or self.num_read - self.oldest >= self.window:
            raise StopIteration
        try:
            document = next(self.documents)
        except StopIteration:
            raise
        except Exception as err:
            self.broken = err
            raise StopIteration from None
        number, self.num_read = self.num_read, self.num_read + 1
        self.begun[number] = document
        if isinstance(document, Failure):
            self.on_done(1)
        else:
            self._want(number, document.requests)

    def _want(self, document: int, requests: Requests) -> None:
        for place, (encoding, options) in enumerate(requests):
            self.waiting.append(
                _Request(document=document, place=place, encoding=encoding, options=options)
            )

    def take(self, result: Summary | Failure) -> None:
        """Of the requests that were given, the oldest without a result."""
        request = self.running.pop(self.num_results)
        del self.options[self.num_results]
        self.num_results += 1
        document = self.begun.get(request.document)
        if not isinstance(document, Begun):  # another of its requests failed
            return
        if isinstance(result, Failure):
            self._fail(request.document, result.error)
            return
        try:
            wanted = document.take(request.place, result)
        except PegasusError as err:  # of what its summaries came to
            if self.errors == "raise":
                raise
            self._fail(request.document, err)
            return
        self._want(request.document, wanted)
        if document.result is not None:
            self.on_done(1)

    def _fail(self, document: int, error: PegasusError) -> None:
        self.begun[document] = record_failure(document, error)
        self.on_done(1)

    def give(self) -> Iterator[Summary | Failure]:
        """Those that are finished, and all before them. Raises: a failure's error."""
        while (document := self.begun.get(self.oldest)) is not None:
            result = document if isinstance(document, Failure) else document.result
            if result is None:
                return
            if isinstance(result, Failure) and self.errors == "raise":
                raise result.error
            del self.begun[self.oldest]
            self.oldest += 1
            yield result

    def interrupted(self, results: Sequence[object]) -> tuple[Summary | Failure | None, ...]:
        """What is finished and not given out, with the results that were on their way."""
        for result in results:
            if isinstance(result, Summary | Failure):
                self.take(result)
            else:
                self.running.pop(self.num_results, None)
                self.num_results += 1
        found = (self.begun[number] for number in range(self.oldest, self.num_read))
        return tuple(each if isinstance(each, Failure) else each.result for each in found)
