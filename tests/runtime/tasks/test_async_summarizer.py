"""Summaries in an event loop: those of the Summarizer, cancelled at once, a few at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    AsyncSummarizer,
    BundleError,
    EngineError,
    Failure,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    Summarizer,
)
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import Decoding, Engine
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tokenization.tokenizer import Tokenizer

TEXTS = list(tiny_sentences()[:6])
GREEDY = GenerationOptions(num_beams=1, max_length=12)
_T = TypeVar("_T")


class StuckEngine:
    """Encodes until it is ended, if `stuck` is set; otherwise it is the engine that it is given."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stuck = True
        self.began, self.running, self.most_running = threading.Event(), 0, 0

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> Decoding:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.stuck:
                self._wait(interrupt)
            return self.engine.start(
                sources, rows_per_document=rows_per_document, max_length=max_length
            )
        finally:
            self.running -= 1

    def _wait(self, interrupt: Interrupt | None) -> None:
        assert interrupt is not None
        ended = threading.Event()
        with interrupt.ending(ended.set):
            self.began.set()
            assert ended.wait(60)
            raise EngineError("ONNX Runtime failed: terminated")


@pytest.fixture
def stuck(engine: OrtEngine) -> StuckEngine:
    return StuckEngine(engine)


@pytest.fixture
def summarizer(bundle: Bundle, stuck: StuckEngine) -> Summarizer:
    spec = bundle.manifest.tokenizer
    assert spec is not None
    return Summarizer(bundle, stuck, Tokenizer.load(bundle.path(spec.file), spec))


def run(summarizer: Summarizer, *steps: Any, max_concurrent: int = 1) -> Any:
    """What the last step, a function of an AsyncSummarizer, comes to."""

    async def main() -> Any:
        async with AsyncSummarizer(summarizer, max_concurrent=max_concurrent) as each:
            for step in steps:
                found = await asyncio.wait_for(step(each), 60)
            return found

    return asyncio.run(main())


async def cancelled_within(call: Coroutine[Any, Any, _T], began: threading.Event) -> None:
    """Cancels it once the engine runs, three times, as an impatient caller would."""
    task = asyncio.ensure_future(call)
    assert await asyncio.to_thread(began.wait, 60)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task


def test_summaries_are_those_of_the_summarizer_while_the_loop_goes_on(
    summarizer: Summarizer, stuck: StuckEngine
) -> None:
    stuck.stuck = False
    expected = summarizer.summarize(TEXTS, GREEDY)
    seen: list[tuple[int, int, threading.Thread]] = []

    async def all_ways(each: AsyncSummarizer) -> None:
        def note(done: int, known: int) -> None:
            seen.append((done, known, threading.current_thread()))

        assert await each.summarize(TEXTS, GREEDY, on_progress=note) == expected
        assert (await each.summarize(TEXTS[0], GREEDY)).token_ids == expected[0].token_ids
        found = [got async for got in each.summarize_each(iter(TEXTS), GREEDY, window=2)]
        texts = [got.text for got in found if not isinstance(got, Failure)]
        assert texts == [each.text for each in expected]
        parts = [part async for part in each.stream(TEXTS[0], GREEDY, on_step=note)]
        assert [part.text for part in parts] == [
            part.text for part in summarizer.stream(TEXTS[0], GREEDY)
        ]
        (failure,) = await each.summarize([""], errors="return")
        assert isinstance(failure, Failure)
        with pytest.raises(InputError, match="text is empty"):
            await each.summarize("")
        with pytest.raises(GenerationInterrupted, match="took longer than 0 s"):
            await each.summarize(TEXTS, timeout_s=0)

    run(summarizer, all_ways)
    assert seen[0] == (6, 6, threading.main_thread())
    assert seen[1:] == [(held, 12, threading.main_thread()) for held in range(1, len(seen))]
    assert len(seen) > 3


def test_a_cancelled_task_is_over_when_the_engine_is_free(
    summarizer: Summarizer, stuck: StuckEngine
) -> None:
    async def cancel(each: AsyncSummarizer) -> None:
        await cancelled_within(each.summarize(TEXTS, GREEDY), stuck.began)
        assert stuck.running == 0

    async def again(each: AsyncSummarizer) -> Any:
        stuck.stuck = False
        return await each.summarize(TEXTS, GREEDY)

    stuck.stuck = False
    expected = summarizer.summarize(TEXTS, GREEDY)
    stuck.stuck = True
    assert run(summarizer, cancel, again) == expected


def test_a_cancelled_iteration_ends_what_runs_and_leaves_the_rest_unread(
    summarizer: Summarizer, stuck: StuckEngine
) -> None:
    documents = iter(TEXTS)

    async def cancel(each: AsyncSummarizer) -> None:
        async def read() -> None:
            async for _ in each.summarize_each(documents, GREEDY, window=1):
                raise AssertionError("nothing is ever finished")

        await cancelled_within(read(), stuck.began)
        assert stuck.running == 0

    run(summarizer, cancel)
    assert list(documents) == TEXTS[1:]


def test_a_cancelled_stream_ends_what_runs(summarizer: Summarizer, stuck: StuckEngine) -> None:
    async def cancel(each: AsyncSummarizer) -> None:
        async def read() -> None:
            async for _ in each.stream(TEXTS[0], GREEDY):
                raise AssertionError("nothing is ever certain")

        await cancelled_within(read(), stuck.began)
        assert stuck.running == 0

    run(summarizer, cancel)


def test_a_time_limit_counts_the_wait_for_a_turn(
    summarizer: Summarizer, stuck: StuckEngine
) -> None:
    async def wait(each: AsyncSummarizer) -> None:
        first = asyncio.ensure_future(each.summarize(TEXTS[0]))
        assert await asyncio.to_thread(stuck.began.wait, 60)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(each.summarize(TEXTS[1]), 0.05)  # never gets to the engine
        assert stuck.running == 1
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    run(summarizer, wait)
    assert stuck.most_running == 1


@pytest.mark.parametrize("max_concurrent", [1, 2])
def test_no_more_run_together_than_are_let(
    summarizer: Summarizer, stuck: StuckEngine, max_concurrent: int
) -> None:
    async def many(each: AsyncSummarizer) -> None:
        tasks = [asyncio.ensure_future(each.summarize(text, timeout_s=0.1)) for text in TEXTS]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, GenerationInterrupted) for each in found), found

    run(summarizer, many, max_concurrent=max_concurrent)
    assert stuck.most_running == max_concurrent


def test_an_iteration_that_is_left_stops_the_work(
    summarizer: Summarizer, stuck: StuckEngine
) -> None:
    stuck.stuck = False
    documents = iter(TEXTS)

    async def leave(each: AsyncSummarizer) -> None:
        found = each.summarize_each(documents, GREEDY, window=1)
        await found.__anext__()
        await found.aclose()

    run(summarizer, leave)
    assert list(documents) == TEXTS[1:]


def test_one_that_is_closed_is_refused(summarizer: Summarizer) -> None:
    closed = AsyncSummarizer(summarizer)
    asyncio.run(closed.close())
    with pytest.raises(BundleError, match="the AsyncSummarizer is closed: load it again"):
        asyncio.run(closed.summarize(TEXTS[0]))
    with pytest.raises(BundleError, match="the Summarizer is closed"):
        summarizer.summarize(TEXTS[0])


def test_some_have_to_run(summarizer: Summarizer) -> None:
    with pytest.raises(OptionsError, match=r"^max_concurrent is 0, expected an integer from 1 up"):
        AsyncSummarizer(summarizer, max_concurrent=0)
