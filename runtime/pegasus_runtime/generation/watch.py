"""What a caller sees of a running generation, and how it is ended."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Protocol, TypeVar

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import Decoding, Engine
from pegasus_runtime.errors import GenerationInterrupted, OptionsError

__all__ = ["Cancel", "OnProgress", "Watch"]

OnProgress = Callable[[int, int], None]
"""Called with the number of finished documents and of all documents, as far as that is known."""


_Document = TypeVar("_Document")


class Cancel(Protocol):
    """Something that says when to stop, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether to stop. While the engine runs, another thread asks, every 10 ms."""


class Watch:
    """Counts finished documents, and ends a generation that was cancelled or is out of time."""

    def __init__(
        self,
        num_documents: int | None,
        *,
        on_progress: OnProgress | None,
        cancel: Cancel | None,
        timeout_s: float | None,
        what: str = "generation",
        shorter: str = "fewer beams or a smaller max_length",
    ) -> None:
        """num_documents: None where nobody knows; see `see`. what: is watched. shorter: would make
        it. Raises: OptionsError.
        """
        if timeout_s is not None and not (isinstance(timeout_s, Real) and timeout_s >= 0):
            raise OptionsError(
                f"timeout_s is {timeout_s!r}, expected a number of seconds from 0 up"
            )
        self.num_documents = num_documents
        self.num_seen = 0
        self.num_done = 0
        self.on_progress = on_progress
        self.cancel = cancel
        self.timeout_s = timeout_s
        self.what = what
        self.shorter = shorter
        self.start = time.monotonic()

    def see(self, documents: Iterable[_Document]) -> Iterator[_Document]:
        """Counts documents as they are read: those seen are all that are known of."""
        for document in documents:
            self.num_seen += 1
            yield document

    def count(self, num_documents: int) -> None:
        """Reports that so many documents more are finished."""
        self.num_done += num_documents
        if self.on_progress is not None and num_documents:
            known = self.num_seen if self.num_documents is None else self.num_documents
            self.on_progress(self.num_done, known)

    def check_step(self, length: int) -> None:
        """Called with the tokens that rows hold, before each step."""
        self.check()

    def check(self) -> None:
        """Raises: GenerationInterrupted."""
        if self.cancel is not None and self.cancel.is_set():
            raise GenerationInterrupted(f"{self.what} was cancelled")
        if self.timeout_s is not None and time.monotonic() - self.start > self.timeout_s:
            raise GenerationInterrupted(
                f"{self.what} took longer than {self.timeout_s:g} s: allow more time, "
                f"{self.shorter}"
            )

    @contextmanager
    def interrupt(self) -> Iterator[Interrupt | None]:
        """What ends a run while it lasts; None where nothing can."""
        if self.cancel is None and self.timeout_s is None:
            yield None
            return
        with Interrupt(self.check) as interrupt:
            yield interrupt

    def each(self, run: Callable[[Interrupt | None], Iterator[_Document]]) -> Iterator[_Document]:
        """What `run` gives, until it is interrupted. Raises: what that does."""
        self.check()
        with self.interrupt() as interrupt:
            yield from run(interrupt)

    @contextmanager
    def interrupting(self, engine: Engine) -> Iterator[Engine]:
        """The engine, with runs that end."""
        with self.interrupt() as interrupt:
            yield engine if interrupt is None else _Interrupted(engine, interrupt)


@dataclass(frozen=True, slots=True)
class _Interrupted:
    engine: Engine
    interrupt: Interrupt

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> Decoding:
        """See `Engine.start`."""
        return self.engine.start(
            sources,
            rows_per_document=rows_per_document,
            max_length=max_length,
            interrupt=interrupt or self.interrupt,
        )
