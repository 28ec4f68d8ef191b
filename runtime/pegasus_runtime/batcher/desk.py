"""What a Batcher's callers and its threads share: the queue, what runs, and how both end."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pegasus_runtime.batcher.company import Company
from pegasus_runtime.batcher.counters import Counters, Outcome, Tally
from pegasus_runtime.batcher.fair_queue import FairQueue, Place
from pegasus_runtime.batcher.outcomes import expired, tell_error
from pegasus_runtime.batcher.rate import Rate
from pegasus_runtime.batcher.request import Request
from pegasus_runtime.errors import BundleError, EngineError, GenerationInterrupted, Overloaded
from pegasus_runtime.generation.batching import Plan
from pegasus_runtime.tasks.summary import Summary

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["Desk", "Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait, and how long for company."""

    max_queue: int
    max_queue_tokens: int | None
    max_wait_s: float


class Desk:
    """Takes requests in, hands them out in batches, and counts what becomes of them.

    No function of a caller's is called while the lock is held. It is a lock that its own thread may
    take again, since finalizers and handlers of signals run within any line of Python.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        plan: Callable[[Hashable], Plan],
        *,
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """name: what errors call it. plan: see `FairQueue.choose`. workers: that ask for batches
        until there are no more."""
        self.name = name
        self.limits = limits
        self.plan = plan
        self.clock = clock
        self.workers = workers
        """That still ask."""
        self._changed = threading.Condition(threading.RLock())
        self._queue = FairQueue()
        self._company = Company(limits.max_wait_s)
        self._rate = Rate(workers=workers)
        self._tally = Tally()
        self._requests: dict[int, Request] = {}
        """Those that wait or run, by number."""
        self._settled: deque[int] = deque()
        """Those whose end is known, and which are still among the others."""
        self._deadlines: list[tuple[float, int]] = []
        """A heap of times and numbers."""
        self._num_running = 0
        self._closing = False

    def check_room(self, tokens: int = 0) -> None:
        """Whether a document of so many tokens would be taken now. Raises: Overloaded; BundleError
        when all is closed."""
        with self._changed:
            self._sweep()
            refusal = self._refusal(tokens)
            if refusal is None:
                return
            if self.workers:
                self._tally.refused += 1
        raise refusal

    def put(self, request: Request) -> None:
        """Takes a request, from now on. Raises: as `check_room`."""
        tokens = len(request.encoding.token_ids)
        with self._changed:
            self.check_room(tokens)
            request.number = self._tally.submitted
            request.since = self.clock()
            self._tally.submitted += 1
            self._requests[request.number] = request
            if request.ends_at is not None:
                heapq.heappush(self._deadlines, (request.ends_at, request.number))
            self._queue.add(_place(request))
            self._changed.notify_all()
        number = request.number  # not the request, which has the future that will hold this
        request.future.add_done_callback(lambda future: self._see_cancelled(number, future))

    def next_batch(self) -> list[Request] | None:
        """Those that run next, once it is time for them; None when all is closed and done."""
        with self._changed:
            self._sweep()
            self._company.get_free(self.clock(), len(self._queue))
        while True:
            self.expire()
            with self._changed:
                self._sweep()
                if len(self._queue):
                    wait_s = self._wait_s()
                    if wait_s <= 0:
                        return self._take()
                elif self._closing:
                    self.workers -= 1
                    return None
                else:
                    wait_s = None
                self._changed.wait(self._until_deadline(wait_s))

    def count_step(self) -> None:
        """The engine is asked for a token more."""
        with self._changed:
            self._tally.steps += 1

    def end_batch(self, requests: Sequence[Request], seconds: float) -> None:
        """A batch has run; all of its requests are settled."""
        with self._changed:
            self._tally.ran_s += seconds
            self._rate.see(sum(_cost(request) for request in requests), seconds)

    def count_retry(self) -> None:
        """A document of a batch that failed is tried alone."""
        with self._changed:
            self._tally.count_batch(1)

    def settle(self, request: Request, outcome: Outcome, summary: Summary | None = None) -> bool:
        """Decides the end of a request; whether it was still open.

        Then the caller of this is to tell the future.
        """
        with self._changed:
            if request.outcome is not None:
                return False
            request.outcome = outcome
            self._tally.outcomes[outcome] += 1
            self._settled.append(request.number)
            if request.is_running:
                self._num_running -= 1
                self._company.serve(self.clock())
            if summary is not None:
                self._tally.source_tokens += len(request.encoding.token_ids)
                self._tally.summary_tokens += len(summary.token_ids)
            return True

    def expire(self) -> None:
        """Ends the requests that are too late, waiting and running ones."""
        late: list[Request] = []
        with self._changed:
            now = self.clock()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, number = heapq.heappop(self._deadlines)
                if number in self._requests:
                    late.append(self._requests[number])
        for request in late:
            if self.settle(request, "expired"):
                tell_error(request, expired(request))

    def counters(self) -> Counters:
        """What was done so far."""
        with self._changed:
            self._sweep()
            return self._tally.snapshot(
                waiting=len(self._queue),
                waiting_tokens=self._queue.tokens,
                running=self._num_running,
            )

    def close(self, *, finish: bool) -> None:
        """Refuses what comes; without `finish`, ends what waits and runs, too."""
        with self._changed:
            self._closing = True
            dropped = [] if finish else list(self._requests.values())
            self._changed.notify_all()
        for request in dropped:
            if self.settle(request, "cancelled"):
                tell_error(request, GenerationInterrupted(f"{self.name} was closed meanwhile"))

    def break_down(self, error: BaseException) -> None:
        """A worker ended by what nobody thought of: nobody waits for ever."""
        with self._changed:
            self._closing = True
            self.workers -= 1
            dropped = list(self._requests.values())
            self._changed.notify_all()
        for request in dropped:
            if self.settle(request, "failed"):
                what = f"{type(error).__name__}: {error}"
                tell_error(request, EngineError(f"{self.name} failed with {what}: report it"))

    def _see_cancelled(self, number: int, future: Future[Summary]) -> None:
        if not future.cancelled():
            return
        request = self._requests.get(number)
        if request is not None:
            self.settle(request, "cancelled")
        future.set_running_or_notify_cancel()  # `concurrent.futures.wait` knows of it only then

    def _refusal(self, tokens: int) -> BundleError | Overloaded | None:
        limits, waiting = self.limits, len(self._queue)
        if not self.workers:
            return BundleError(f"{self.name} is closed: make another one")
        if self._closing:
            return self._overloaded(f"{self.name} is closing: submit to another one")
        if waiting >= limits.max_queue:
            return self._overloaded(
                f"{waiting} documents wait, the queue takes {limits.max_queue}: try again later"
            )
        most = limits.max_queue_tokens
        if most is not None and waiting and self._queue.tokens + tokens > most:
            return self._overloaded(
                f"{self._queue.tokens} tokens wait, {tokens} more are over the {most} that the "
                "queue takes: try again later"
            )
        return None

    def _overloaded(self, message: str) -> Overloaded:
        refusal = Overloaded(message)
        refusal.retry_after_s = self._rate.seconds(self._queue.cost / 2)
        return refusal

    def _wait_s(self) -> float:
        """How long the next batch has to wait for company, now that something waits."""
        if self._closing or self._queue.choose(self.plan).is_full:
            return 0.0
        now = self.clock()
        since = self._requests[self._queue.first()].since
        start = self._company.start_at(now, since=since, num_waiting=len(self._queue))
        return start - now

    def _until_deadline(self, wait_s: float | None) -> float | None:
        if not self._deadlines:
            return wait_s
        until = max(0.0, self._deadlines[0][0] - self.clock())
        return until if wait_s is None else min(wait_s, until)

    def _take(self) -> list[Request]:
        now = self.clock()
        places = self._queue.take(self._queue.choose(self.plan))
        requests = [self._requests[place.number] for place in places]
        for request in requests:
            request.is_running = True
            self._tally.waited_s += now - request.since
        self._num_running += len(requests)
        self._tally.count_batch(len(requests))
        self._changed.notify_all()
        return requests

    def _sweep(self) -> None:
        """Forgets those that are settled."""
        while self._settled:
            number = self._settled.popleft()
            self._queue.remove(number)
            self._requests.pop(number, None)
        if len(self._deadlines) > 64 + 2 * len(self._requests):
            self._deadlines = [each for each in self._deadlines if each[1] in self._requests]
            heapq.heapify(self._deadlines)


def _place(request: Request) -> Place:
    return Place(
        number=request.number,
        settings=request.settings,
        tokens=len(request.encoding.token_ids),
        cost=_cost(request),
        priority=request.priority,
    )


def _cost(request: Request) -> float:
    """Tokens that are read, and that rows may come to: nobody knows how many will."""
    settings = request.settings
    return len(request.encoding.token_ids) + settings.rows_per_document * settings.max_length / 2
