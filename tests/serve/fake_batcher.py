"""A Batcher that runs documents one after another, or holds them until a test lets them go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from pegasus_runtime import GenerationInterrupted, GenerationOptions, Overloaded
from pegasus_runtime.batcher.counters import Counters, Tally
from pegasus_runtime.tasks.long_documents.long import Long
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summary import Summary
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["NOTHING", "FakeBatcher"]


NOTHING = Tally().snapshot(waiting=0, waiting_tokens=0, running=0)


@dataclass
class Held:
    """A document that was submitted."""

    future: Future[Summary]
    options: GenerationOptions | None
    long: Long
    priority: int
    deadline_s: float | None
    on_partial: Callable[[Partial], None] | None
    document: str | Encoding


@dataclass
class FakeBatcher:
    """Documents are held while `holds`; errors come from `error`, as often as it is set."""

    summarize: Callable[[Held], Summary]
    holds: bool = False
    room: int = 1000
    error: Exception | None = None
    held: list[Held] = field(default_factory=list)
    finished: int = 0
    closed: list[bool] = field(default_factory=list)
    counts: Counters = NOTHING
    lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(
        self,
        document: str | Encoding,
        options: GenerationOptions | None = None,
        *,
        long: Long = "error",
        priority: int = 0,
        deadline_s: float | None = None,
        on_partial: Callable[[Partial], None] | None = None,
    ) -> Future[Summary]:
        with self.lock:
            waiting = [each for each in self.held if not each.future.done()]
            if self.closed or len(waiting) >= self.room:
                error = Overloaded("the queue is full: try again")
                error.retry_after_s = 2.5
                raise error
            each = Held(
                future=Future(),
                options=options,
                long=long,
                priority=priority,
                deadline_s=deadline_s,
                on_partial=on_partial,
                document=document,
            )
            self.held.append(each)
        if not self.holds:
            self.finish(each)
        return each.future

    def finish(self, held: Held) -> None:
        if held.future.done():
            return
        try:
            if self.error is not None:
                raise self.error
            result = self.summarize(held)
        except Exception as err:
            held.future.set_exception(err)
        else:
            held.future.set_result(result)
            self.finished += 1

    def wait_for_documents(self, count: int) -> None:
        """Until so many were submitted."""
        until = time.monotonic() + 5
        while len(self.held) < count:
            assert time.monotonic() < until, f"{len(self.held)} of {count} documents came"
            time.sleep(0.005)

    def counters(self) -> Counters:
        return self.counts

    def close(self, *, finish: bool = True) -> None:
        self.closed.append(finish)
        for each in self.held:
            if finish:
                self.finish(each)
            elif not each.future.done():
                each.future.set_exception(GenerationInterrupted("the batcher was closed"))
