"""Documents in windows: their parts run among all others, and end with them."""

from __future__ import annotations

from concurrent.futures import wait

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    Batcher,
    EngineError,
    GenerationInterrupted,
    GenerationOptions,
    OptionsError,
    Overloaded,
    Summarizer,
)
from runtime.batcher.gated_engine import PATIENCE_S, GatedEngine, wait_until

TEXT = " ".join(tiny_sentences()[:12])
SHORT = tiny_sentences()[0]
OPTIONS = GenerationOptions(num_beams=1, max_length=12)


@pytest.mark.parametrize("size", [0, 2])
def test_a_summary_in_windows_is_that_of_the_summarizer(
    summarizer: Summarizer, alone: Summarizer, size: int
) -> None:
    options = GenerationOptions(num_beams=1, max_length=12, no_repeat_ngram_size=size)
    with Batcher(summarizer, max_queue=2, max_wait_ms=1) as batcher:
        found = batcher.submit(TEXT, options, long="chunk").result(PATIENCE_S)
        short = batcher.submit(SHORT, options, long="chunk").result(PATIENCE_S)
    expected = alone.summarize(TEXT, options, long="chunk")
    assert (found.text, found.token_ids) == (expected.text, expected.token_ids)
    assert [each.text for each in found.windows] == [each.text for each in expected.windows]
    assert len(found.windows) > 2
    assert short.token_ids == alone.summarize(SHORT, options).token_ids


def test_cancelling_one_cancels_its_windows(summarizer: Summarizer, gated: GatedEngine) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0) as batcher:
        future = batcher.submit(TEXT, OPTIONS, long="chunk")
        assert future.cancel()
        assert wait([future], PATIENCE_S).done == {future}
        counters = batcher.counters()
        gated.encoder_gate.set()
    assert counters.cancelled == counters.submitted > 2


def test_a_window_that_fails_or_is_late_is_the_error_of_the_document(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    with Batcher(summarizer, max_wait_ms=0) as batcher:
        expected = batcher.summarize(TEXT, OPTIONS, long="chunk")
        gated.broken = {gated.batches[-1][-1]}
        with pytest.raises(EngineError, match="the engine is broken"):
            batcher.submit(TEXT, OPTIONS, long="chunk").result(PATIENCE_S)
        gated.broken = set()
        gated.encoder_gate.clear()
        with pytest.raises(GenerationInterrupted, match="was not there within"):
            batcher.submit(TEXT, OPTIONS, long="chunk", deadline_s=0.05).result(PATIENCE_S)
        gated.encoder_gate.set()
        assert batcher.summarize(TEXT, OPTIONS, long="chunk") == expected


def test_windows_are_refused_together_and_not_streamed(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, max_queue=1) as batcher:
        batcher.submit(SHORT, OPTIONS)
        wait_until(lambda: gated.batches)
        batcher.submit(SHORT, OPTIONS)
        with pytest.raises(Overloaded, match="1 documents wait"):
            batcher.submit(TEXT, OPTIONS, long="chunk")
        gated.encoder_gate.set()
        wait_until(lambda: batcher.counters().finished == 2)
        with pytest.raises(OptionsError, match="a stream takes nothing back"):
            batcher.submit(TEXT, OPTIONS, long="chunk", on_partial=lambda part: None)


def test_closing_finishes_documents_in_windows(summarizer: Summarizer) -> None:
    options = GenerationOptions(num_beams=1, max_length=12, no_repeat_ngram_size=2)
    batcher = Batcher(summarizer, max_wait_ms=0)
    future = batcher.submit(TEXT, options, long="chunk")  # window by window
    batcher.close()
    assert future.result(0).windows


def test_a_document_in_windows_that_is_late_names_the_seconds_that_it_had(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    options = GenerationOptions(num_beams=1, max_length=12, no_repeat_ngram_size=2)
    with Batcher(summarizer, max_wait_ms=0, batch_size=1) as batcher:
        future = batcher.submit(TEXT, options, long="chunk", deadline_s=0.5)
        wait_until(lambda: len(gated.batches) > 1)
        gated.encoder_gate.clear()
        with pytest.raises(GenerationInterrupted, match=r"was not there within 0\.5 s, waiting"):
            future.result(PATIENCE_S)
        gated.encoder_gate.set()


def test_a_book_leaves_room_in_the_queue(summarizer: Summarizer, gated: GatedEngine) -> None:
    book = " ".join(tiny_sentences()[:200])
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, max_queue=40) as batcher:
        future = batcher.submit(book, OPTIONS, long="chunk")
        wait_until(lambda: gated.batches)
        counters = batcher.counters()
        assert counters.waiting + counters.running == 32
        short = batcher.submit(SHORT, OPTIONS)
        gated.encoder_gate.set()
        assert len(future.result(PATIENCE_S).windows) > 40
        assert short.result(PATIENCE_S).text is not None
        gated.encoder_gate.clear()
        future = batcher.submit(book, OPTIONS, long="chunk")
        assert future.cancel()
        gated.encoder_gate.set()
    counters = batcher.counters()
    assert counters.cancelled == 32
