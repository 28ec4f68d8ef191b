"""A document in windows: each is submitted as any other, and what they come to is joined."""

from __future__ import annotations

import threading
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
        self._parts: list[Future[Summary]] = []
        self._turn = threading.RLock()
        self._submit(begun.requests)
        self.future.add_done_callback(self._see_cancelled)

    def _submit(self, requests: Sequence[tuple[Encoding, GenerationOptions]]) -> None:
        self._parts = [self._put(encoding, options) for encoding, options in requests]
        for place, part in enumerate(self._parts):
            part.add_done_callback(partial(self._take, place))

    def _take(self, place: int, part: Future[Summary]) -> None:
        """Of a window that is done, in whichever thread."""
        if part.cancelled() or self.future.done():
            return
        error = part.exception()
        if error is None:
            try:
                with self._turn:
                    wanted = self._begun.take(place, part.result())
                    if wanted:
                        self._submit(wanted)
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
        for part in self._parts:
            part.cancel()
