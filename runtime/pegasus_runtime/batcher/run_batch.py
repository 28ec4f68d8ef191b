"""A batch of requests through search and engine: each is told what it came to when it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from pegasus_runtime.batcher.desk import Desk
from pegasus_runtime.batcher.outcomes import calling_out, tell_error, tell_summary
from pegasus_runtime.batcher.request import OnPartial, Request
from pegasus_runtime.errors import EngineError, GenerationInterrupted, PegasusError
from pegasus_runtime.generation.agreed import Agreed
from pegasus_runtime.generation.failure import record_failure, tell_of_memory
from pegasus_runtime.generation.loop import Hypothesis, SearchStep, run_search
from pegasus_runtime.generation.watch import Watch
from pegasus_runtime.search.departure import take_beams, take_samples
from pegasus_runtime.search.state import BeamState, SampleState
from pegasus_runtime.tasks.partial import Partial
from pegasus_runtime.tasks.summarizer import Summarizer
from pegasus_runtime.tasks.summary import summary_of

__all__ = ["run_batch"]


def run_batch(summarizer: Summarizer, desk: Desk, requests: Sequence[Request]) -> None:
    """Settles all of them. If the engine fails, those that are not done are tried alone.

    Raises nothing: what nobody thought of is an EngineError of the documents that it hit.
    """
    start = time.perf_counter()
    left = _try_batch(summarizer, desk, requests, tells=True)
    if len(requests) > 1:
        for request in left:
            if request.outcome is None:
                desk.count_retry()
                _try_batch(summarizer, desk, [request], tells=False)
    desk.end_batch(requests, time.perf_counter() - start)


def _try_batch(
    summarizer: Summarizer, desk: Desk, requests: Sequence[Request], *, tells: bool
) -> Sequence[Request]:
    """Runs them once; those that are open after an error, if they may be tried alone."""
    try:
        with tell_of_memory():
            _Batch(summarizer, desk, requests, tells=tells).run()
    except GenerationInterrupted:
        return []  # nobody waits for any of them
    except BaseException as err:
        error = _engine_error(err)
    else:
        return []
    open_ones = [request for request in requests if request.outcome is None]
    if len(requests) == 1 and open_ones:
        _fail(desk, requests[0], error)
        return []
    return open_ones


def _engine_error(error: BaseException) -> PegasusError:
    """What a batch failed with, without the memory that its tracebacks refer to."""
    if not isinstance(error, PegasusError):
        cause = error
        error = EngineError(f"the batch failed with {type(cause).__name__}: {cause}: report it")
        error.__cause__ = cause
    return record_failure(0, error).error


def _fail(desk: Desk, request: Request, error: BaseException) -> None:
    if desk.settle(request, "failed"):
        tell_error(request, error)


class _AllGone:
    """A `Cancel`: whether nobody waits for a batch any more; sees to deadlines, too."""

    def __init__(self, desk: Desk, requests: Sequence[Request]) -> None:
        self.desk = desk
        self.requests = requests

    def is_set(self) -> bool:
        """Asked between two steps, and every 10 ms while the engine runs."""
        self.desk.expire()
        return all(request.outcome is not None for request in self.requests)


class _Batch:
    """Requests of the same settings, in the order in which the engine has them."""

    def __init__(
        self, summarizer: Summarizer, desk: Desk, requests: Sequence[Request], *, tells: bool
    ) -> None:
        """tells: whether callers are told what is certain; not a second time."""
        self.summarizer = summarizer
        self.desk = desk
        self.requests = requests
        self.settings = requests[0].settings
        self.told = {
            number: _Told(summarizer, Agreed(self.settings), request.on_partial)
            for number, request in enumerate(requests)
            if tells and request.on_partial is not None
        }

    def run(self) -> None:
        """Raises: what `generate` raises; GenerationInterrupted if nobody waits any more."""
        start = time.perf_counter()
        watch = Watch(
            None, on_progress=None, cancel=_AllGone(self.desk, self.requests), timeout_s=None
        )
        watch.check()
        for number, told in self.told.items():
            self._tell(number, told, None)
        sources = [request.encoding.token_ids for request in self.requests]
        with watch.interrupting(self.summarizer._open_engine()) as engine:

            def check_and_count(length: int) -> None:
                watch.check_step(length)
                self.desk.count_step()

            search = run_search(engine, sources, self.settings, on_step=check_and_count)
            step = next(search)
            while len(step.state.documents):
                self._see(step, start)
                step = search.send(self._leaving(step))
            self._see(step, start)

    def _leaving(self, step: SearchStep) -> list[int]:
        """Those that nobody waits for, unless it is all of them, which ends the batch."""
        self.desk.expire()
        running: list[int] = step.state.documents.tolist()
        leaving = [number for number in running if self.requests[number].outcome is not None]
        return leaving if len(leaving) < len(running) else []

    def _see(self, step: SearchStep, start: float) -> None:
        for number, found in step.found.items():
            self._finish(self.requests[number], found, time.perf_counter() - start)
        if not self.told:
            return
        for place, number in enumerate(step.state.documents.tolist()):
            told = self.told.get(number)
            if told is not None and self.requests[number].outcome is None:
                self._tell(number, told, _state_of(step.state, place))

    def _finish(self, request: Request, found: Sequence[Hypothesis], seconds: float) -> None:
        if request.outcome is not None:
            return
        try:
            decode = self.summarizer._tokenizer.decode
            summary = summary_of(decode, found, request.encoding, seconds / len(self.requests))
        except PegasusError as err:
            _fail(self.desk, request, _engine_error(err))
            return
        if self.desk.settle(request, "finished", summary):
            tell_summary(request, summary)

    def _tell(self, number: int, told: _Told, state: BeamState | SampleState | None) -> None:
        try:
            told.see(state)
        except BaseException as err:  # it is the caller's own
            _fail(self.desk, self.requests[number], err)


class _Told:
    """What one caller knows of a summary that is being written."""

    def __init__(self, summarizer: Summarizer, agreed: Agreed, tell: OnPartial) -> None:
        self.summarizer = summarizer
        self.agreed = agreed
        self.tell = tell
        self.text = ""

    def see(self, state: BeamState | SampleState | None) -> None:
        """Tells whether more is certain; None: before the first step. Raises: what `tell` does."""
        is_more = bool(self.agreed.token_ids) if state is None else self.agreed.see(state)
        if not is_more:
            return
        token_ids = self.agreed.token_ids
        text = self.summarizer._tokenizer.decode_settled(token_ids)
        self.text = max(self.text, text, key=len)
        with calling_out():
            self.tell(Partial(text=self.text, token_ids=token_ids))


def _state_of(state: BeamState | SampleState, place: int) -> BeamState | SampleState:
    """That of one document alone."""
    alone = np.array([place])
    if isinstance(state, BeamState):
        return take_beams(state, alone)
    return take_samples(state, alone)
