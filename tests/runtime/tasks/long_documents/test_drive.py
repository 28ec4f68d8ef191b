"""Documents in windows through a summarizer: in order, together, each counted and ended as ever."""

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    AsyncSummarizer,
    Failure,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    Summarizer,
    Summary,
)
from pegasus_runtime.generation.watch import Watch
from pegasus_runtime.tasks.long_documents.drive import begin_chunked, run_chunked
from pegasus_runtime.tasks.run import Run
from pegasus_runtime.tokenization.tokenizer import Encoding

SHORT = tiny_sentences()[3]
LONG = " ".join(tiny_sentences()[:9])
LONGER = " ".join(tiny_sentences()[20:36])
GREEDY = GenerationOptions(num_beams=1, max_length=12)
NO_REPEATS = GenerationOptions(num_beams=1, max_length=12, no_repeat_ngram_size=2)
DOCUMENTS = [LONG, SHORT, LONGER, LONG]


def test_a_document_in_windows_is_the_summary_of_each_joined(summarizer: Summarizer) -> None:
    summary = summarizer.summarize(LONG, GREEDY, long="chunk")
    assert len(summary.windows) > 1
    assert [window.text for window in summary.windows if window.round == 1] == [
        summarizer.summarize(LONG[window.start : window.end], GREEDY).text
        for window in summary.windows
        if window.round == 1
    ]
    assert summary.seconds > 0


def test_a_document_that_fits_is_summarised_as_ever(summarizer: Summarizer) -> None:
    expected = summarizer.summarize(SHORT)
    assert summarizer.summarize(SHORT, long="chunk") == expected
    assert list(summarizer.summarize_each([summarizer.encode(SHORT)], long="chunk")) == [expected]
    assert expected.windows == ()


@pytest.mark.parametrize("options", [GREEDY, NO_REPEATS])
@pytest.mark.parametrize("window", [1, 256])
def test_documents_together_are_those_alone_in_their_order(
    summarizer: Summarizer, options: GenerationOptions, window: int
) -> None:
    alone = [summarizer.summarize(each, options, long="chunk") for each in DOCUMENTS]
    progress: list[tuple[int, int]] = []
    found = summarizer.summarize_each(
        iter(DOCUMENTS),
        options,
        long="chunk",
        window=window,
        on_progress=lambda *each: progress.append(each),
    )
    assert [each.text for each in found if isinstance(each, Summary)] == [x.text for x in alone]
    assert [done for done, _ in progress] == [1, 2, 3, 4]


def test_no_n_gram_of_a_window_occurs_in_a_later_one(summarizer: Summarizer) -> None:
    def repeated(options: GenerationOptions) -> int:
        chunked = summarizer.chunker(options).begin(LONGER)
        requests = next(chunked)
        seen: set[tuple[int, ...]] = set()
        count = 0
        while True:
            found = [
                each
                for encoding, with_bans in requests
                for each in summarizer.summarize_each([encoding], with_bans)
                if isinstance(each, Summary)
            ]
            for each in found:
                ids = each.token_ids[:-1]  # without EOS
                ngrams = {ids[at : at + 2] for at in range(len(ids) - 1)}
                count += len(ngrams & seen)
                seen |= ngrams
            try:
                requests = chunked.send(found)
            except StopIteration:
                break
        return count

    assert repeated(GREEDY) > 0
    assert repeated(NO_REPEATS) == 0


def test_a_document_that_fails_leaves_the_others(summarizer: Summarizer) -> None:
    found = summarizer.summarize([LONG, " ", SHORT], GREEDY, long="chunk", errors="return")
    assert isinstance(found, list)
    assert [isinstance(each, Failure) for each in found] == [False, True, False]
    assert isinstance(found[1], Failure)
    assert found[1].document == 1
    with pytest.raises(InputError, match=r"^document 1: text is empty"):
        summarizer.summarize([LONG, " "], GREEDY, long="chunk")


def test_an_error_comes_after_the_documents_before_it(summarizer: Summarizer) -> None:
    found = summarizer.summarize_each([LONG, " ", SHORT], NO_REPEATS, long="chunk")
    assert isinstance(next(found), Summary)
    with pytest.raises(InputError, match=r"^document 1: text is empty"):
        next(found)


def test_what_the_iterable_raises_comes_after_the_documents_before_it(
    summarizer: Summarizer,
) -> None:
    def documents() -> Iterator[str]:
        yield LONG
        raise ValueError("the disk is gone")

    found = summarizer.summarize_each(documents(), NO_REPEATS, long="chunk")
    assert isinstance(next(found), Summary)
    with pytest.raises(ValueError, match="the disk is gone"):
        next(found)


class FailingRun:
    """A Run of which batches with a document of so many tokens fail; documents are counted."""

    def __init__(self, run: Run[Encoding, Summary], bad: int) -> None:
        self.run, self.bad = run, bad
        self.plan = run.plan

    def run_batch(self, batch: Sequence[Encoding]) -> list[Summary]:
        if any(len(each.token_ids) == self.bad for each in batch):
            raise InputError("made to fail")
        return self.run.run_batch(batch)


@pytest.mark.parametrize("options", [GREEDY, NO_REPEATS])
def test_a_window_that_fails_is_the_failure_of_its_document_alone(
    summarizer: Summarizer, options: GenerationOptions
) -> None:
    chunker = summarizer.chunker(options)
    begun = [begin_chunked(chunker, each) for each in DOCUMENTS[:3]]
    bad = len(begun[2].requests[0][0].token_ids)
    sizes = {len(encoding.token_ids) for each in begun[:2] for encoding, _ in each.requests}
    assert bad not in sizes
    watch = Watch(3, on_progress=None, cancel=None, timeout_s=None)
    found = list(
        run_chunked(
            begun,
            lambda each: FailingRun(summarizer._run(each, watch=watch), bad),  # type: ignore[arg-type,return-value]
            errors="return",
            on_done=watch.count,
        )
    )
    assert [isinstance(each, Failure) for each in found] == [False, False, True]
    assert watch.num_done == 3


class Cancel:
    """Says stop from some moment on."""

    def __init__(self) -> None:
        self.is_on = False

    def is_set(self) -> bool:
        return self.is_on


def test_who_cancels_gets_what_was_finished(summarizer: Summarizer) -> None:
    results = summarizer.summarize_each(
        DOCUMENTS, GREEDY, long="chunk", batch_size=1, cancel=(cancel := Cancel())
    )
    assert isinstance(next(results), Summary)
    cancel.is_on = True
    with pytest.raises(GenerationInterrupted) as caught:
        list(results)
    assert list(caught.value.results) == [None, None, None]
    with pytest.raises(GenerationInterrupted) as caught:
        summarizer.summarize(DOCUMENTS, GREEDY, long="chunk", cancel=cancel)
    assert list(caught.value.results) == [None] * 4
    with pytest.raises(GenerationInterrupted, match="took longer than 0 s"):
        summarizer.summarize(DOCUMENTS, GREEDY, long="chunk", timeout_s=0)


def test_a_stream_and_contradictions_are_refused_at_once(summarizer: Summarizer) -> None:
    with pytest.raises(OptionsError, match="a stream takes nothing back"):
        summarizer.stream(LONG, long="chunk")
    with pytest.raises(OptionsError, match="truncate=True stands for long='truncate'"):
        summarizer.summarize_each([LONG], truncate=True, long="chunk")
    with pytest.raises(InputError, match="or long='chunk' "):
        summarizer.summarize(LONG)
    assert summarizer.summarize(LONG, GREEDY, long="truncate").truncated


def test_it_can_be_awaited(summarizer: Summarizer) -> None:
    expected = summarizer.summarize(LONG, GREEDY, long="chunk")

    async def main() -> None:
        waiting = AsyncSummarizer(summarizer)
        assert await waiting.summarize(LONG, GREEDY, long="chunk") == expected
        each = waiting.summarize_each([LONG], GREEDY, long="chunk")
        assert [result async for result in each] == [expected]
        await asyncio.to_thread(waiting._pool.shutdown)

    asyncio.run(main())
