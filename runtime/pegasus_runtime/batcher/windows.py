"""A document in windows: some at a time are submitted, as any other, and all are joined."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pegasus_runtime.batcher.outcomes import calling_out
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.drive import Begun
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Windows"]

_AT_A_TIME = 32
"""Windows of a document that wait or run: two batches, so that there is one while another runs."""

Put = Callable[[Encoding, GenerationOptions], "Future[Summary]"]
"""Submits a window. Raises: PegasusError."""


class Windows:
    """The summaries that a document wants, round by round, and the future of the one they make."""

    def __init__(self, begun: Begun, put: Put) -> None:
        """Submits the first of them. Raises: what `put` does."""
        from concurrent.futures import Future

        self.future: Future[Summary] = Future()
        self._begun = begun
        self._put = put
        self._parts: dict[int, Future[Summary]] = {}
        """Those that wait or run, by place."""
        self._wanted: deque[tuple[int, Encoding, GenerationOptions]] = deque()
        self._turn = threading.RLock()
        self._want(begun.requests)
        self._submit()
        self.future.add_done_callback(self._see_cancelled)

    def _want(self, requests: Sequence[tuple[Encoding, GenerationOptions]]) -> None:
        self._wanted.extend((place, *request) for place, request in enumerate(requests))

    def _submit(self) -> None:
        """As many as may wait at a time: a book leaves room in the queue for others."""
        while True:
            with self._turn:
                if not self._wanted or len(self._parts) >= _AT_A_TIME or self.future.done():
                    return
                place, encoding, options = self._wanted.popleft()
                part = self._parts[place] = self._put(encoding, options)
            part.add_done_callback(partial(self._take, place))  # which may be done

    def _take(self, place: int, part: Future[Summary]) -> None:
        """Of a window that is done, in whichever thread."""
        if part.cancelled() or self.future.done():
            return
        error = part.exception()
        if error is None:
            try:
                with self._turn:
                    del self._parts[place]
                    self._want(self._begun.take(place, part.result()))
                self._submit()
                if self.future.cancelled():  # meanwhile
                    self._cancel_parts()
            except BaseException as err:
                error = err
        if error is not None:
            self._end(lambda: self.future.set_exception(error))
            self._cancel_parts()
        elif isinstance(result := self._begun.result, Summary):
            self._end(lambda: self.future.set_result(result))

    def _end(self, set_outcome: Callable[[], None]) -> None:
        from concurrent.futures import InvalidStateError

        with calling_out():
            try:
                set_outcome()
            except InvalidStateError:
                return  # it was cancelled, or another window failed, at this moment

    def _see_cancelled(self, future: Future[Summary]) -> None:
        if future.cancelled():
            future.set_running_or_notify_cancel()
            self._cancel_parts()

    def _cancel_parts(self) -> None:
        with self._turn:
            self._wanted.clear()
            parts = list(self._parts.values())
        for part in parts:
            part.cancel()
