"""Documents of many callers: joined, told apart, ended alone."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, wait
from dataclasses import replace
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    Batcher,
    EngineError,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    Overloaded,
    Partial,
    Summarizer,
    Summary,
)
from runtime.batcher.gated_engine import PATIENCE_S, GatedEngine, wait_until

TEXTS = list(tiny_sentences()[:12])
GREEDY = GenerationOptions(num_beams=1, max_length=20)
SOON = 5  # the text whose greedy summary is there first
OPTIONS = GenerationOptions(num_beams=2, max_length=12)


def same(summary: Summary, expected: Summary) -> bool:
    """Tokens are equal; sums of batches of other sizes may round otherwise."""
    assert summary.score == pytest.approx(expected.score, rel=1e-5, abs=1e-5)
    others = zip(summary.alternatives, expected.alternatives, strict=True)
    fields = ("text", "token_ids", "truncated", "unknown_share")
    assert all(same(one, other) for one, other in others)
    return all(getattr(summary, name) == getattr(expected, name) for name in fields)


def all_same(futures: list[Future[Summary]], alone: Summarizer, options: GenerationOptions) -> bool:
    """Whether these are the summaries of the texts."""
    found = [future.result(PATIENCE_S) for future in futures]
    expected = [alone.summarize(text, options) for text in TEXTS[: len(found)]]
    return all(same(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 4},
        {"num_beams": 1},
        {"num_beams": 3, "num_return_sequences": 2, "no_repeat_ngram_size": 2},
        {"do_sample": True, "num_beams": 1, "seed": 3, "top_k": 20},
        {"do_sample": True, "num_beams": 2, "seed": 4, "encoder_no_repeat_ngram_size": 3},
        {"decoder_input_ids": [5, 7], "token_scores": True, "length_penalty": -1.0},
    ],
)
def test_summaries_are_those_of_the_documents_alone(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine, options: dict[str, Any]
) -> None:
    given = GenerationOptions(max_length=14, **options)
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=len(TEXTS)) as batcher:
        futures = [batcher.submit(text, given) for text in TEXTS]
        assert all_same(futures, alone, given)
    assert [len(batch) for batch in gated.batches] == [len(TEXTS)]


def test_those_who_come_while_a_batch_runs_make_the_next_one(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0) as batcher:
        futures = [batcher.submit(TEXTS[0], OPTIONS)]
        wait_until(lambda: gated.batches)
        futures += [batcher.submit(text, OPTIONS) for text in TEXTS[1:6]]
        gated.encoder_gate.set()
        assert all_same(futures, alone, OPTIONS)
    assert [len(batch) for batch in gated.batches] == [1, 5]


def test_documents_with_other_options_run_apart(summarizer: Summarizer, gated: GatedEngine) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0) as batcher:
        batcher.submit(TEXTS[0], OPTIONS)
        wait_until(lambda: gated.batches)
        several = [replace(OPTIONS, num_beams=1 + number % 2) for number in range(6)]
        futures = [batcher.submit(TEXTS[0], each) for each in several]
        gated.encoder_gate.set()
        wait(futures, PATIENCE_S)
    assert [len(batch) for batch in gated.batches] == [1, 3, 3]


def test_a_summary_is_told_when_it_is_there_and_not_when_its_batch_ends(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine
) -> None:
    gated.held_step = 12
    assert len(alone.summarize(TEXTS[SOON], GREEDY).token_ids) < gated.held_step
    gated.step_gate.clear()
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=6) as batcher:
        futures = [batcher.submit(text, GREEDY) for text in TEXTS[:6]]
        futures[SOON].result(PATIENCE_S)
        assert [future.done() for future in futures] == [*[False] * 5, True]
        assert batcher.counters().running == 5
        gated.step_gate.set()
        assert all_same(futures, alone, GREEDY)
    assert set(gated.rows) == {6, 5}


def test_one_that_is_cancelled_before_its_turn_never_runs(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, max_queue=1) as batcher:
        first = batcher.submit(TEXTS[0], OPTIONS)
        wait_until(lambda: gated.batches)
        second = batcher.submit(TEXTS[1], OPTIONS)
        assert second.cancel()
        assert wait([second], PATIENCE_S).done == {second}
        third = batcher.submit(TEXTS[2], OPTIONS)  # there is room again
        gated.encoder_gate.set()
        wait([first, third], PATIENCE_S)
        counters = batcher.counters()
    assert (counters.cancelled, counters.finished, counters.running) == (1, 2, 0)
    assert len(gated.batches) == 2


def test_one_that_is_cancelled_while_it_runs_leaves_at_the_next_step(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine
) -> None:
    gated.held_step = 3
    gated.step_gate.clear()
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=4) as batcher:
        futures = [batcher.submit(text, OPTIONS) for text in [*TEXTS[:3], TEXTS[0]]]
        wait_until(lambda: len(gated.rows) == 4)
        assert futures[3].cancel()
        assert batcher.counters().running == 3
        gated.step_gate.set()
        assert all_same(futures[:3], alone, OPTIONS)
    assert gated.rows[:5] == [4, 4, 4, 4, 3]
    assert futures[3].cancelled()


@pytest.mark.parametrize("num_beams", [1, 2])
def test_if_all_are_cancelled_the_encoder_ends(
    summarizer: Summarizer, gated: GatedEngine, num_beams: int
) -> None:
    options = replace(OPTIONS, num_beams=num_beams)
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=200, batch_size=2) as batcher:
        futures = [batcher.submit(text, options) for text in TEXTS[:2]]
        wait_until(lambda: gated.batches)
        for future in futures:
            future.cancel()
        gated_again = batcher.submit(TEXTS[2], options)
        wait_until(lambda: len(gated.batches) == 2)  # the gate is still closed
        gated.encoder_gate.set()
        gated_again.result(PATIENCE_S)
    assert gated.rows[0] == 1


def test_a_deadline_ends_what_waits_what_runs_and_the_encoder(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0) as batcher:
        running = batcher.submit(TEXTS[0], OPTIONS, deadline_s=0.05)
        waiting = batcher.submit(TEXTS[1], OPTIONS, deadline_s=0.02)
        message = r"the summary was not there within 0.05 s, waiting included: allow more time"
        with pytest.raises(GenerationInterrupted, match=message):
            running.result(PATIENCE_S)
        with pytest.raises(GenerationInterrupted, match=r"within 0.02 s"):
            waiting.result(PATIENCE_S)
        wait_until(lambda: batcher.counters().ran_s)  # its gate is closed, and yet it ended
        counters = batcher.counters()
        gated.encoder_gate.set()
    assert (counters.expired, counters.running, counters.waiting) == (2, 0, 0)
    assert gated.rows == []


def test_one_that_is_too_late_leaves_and_its_neighbours_go_on(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine
) -> None:
    gated.held_step = 2
    gated.step_gate.clear()
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=3) as batcher:
        futures = [batcher.submit(text, OPTIONS) for text in TEXTS[:2]]
        late = batcher.submit(TEXTS[2], OPTIONS, deadline_s=0.1)
        wait_until(lambda: len(gated.rows) == 3)
        threading.Event().wait(0.15)
        gated.step_gate.set()
        assert all_same(futures, alone, OPTIONS)
        with pytest.raises(GenerationInterrupted, match="was not there within"):
            late.result(PATIENCE_S)
    assert gated.rows[:4] == [3, 3, 3, 2]


def test_a_full_queue_says_so_at_once_and_when_to_come_back(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, max_queue=2) as batcher:
        batcher.submit(TEXTS[0], OPTIONS)
        wait_until(lambda: gated.batches)
        futures = [batcher.submit(text, OPTIONS) for text in TEXTS[1:3]]
        with pytest.raises(Overloaded, match="2 documents wait, the queue takes 2: try") as caught:
            batcher.submit(TEXTS[3], OPTIONS)
        assert 0 < caught.value.retry_after_s <= 60
        assert batcher.counters().refused == 1
        gated.encoder_gate.set()
        wait(futures, PATIENCE_S)
        assert batcher.summarize(TEXTS[3], OPTIONS).text


def test_a_queue_is_full_of_tokens_too_but_takes_one_document_however_long(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, max_queue_tokens=10) as batcher:
        batcher.submit(TEXTS[0], OPTIONS)
        wait_until(lambda: gated.batches)
        batcher.submit(TEXTS[1], OPTIONS)
        tokens = batcher.counters().waiting_tokens
        assert tokens == len(summarizer.encode(TEXTS[1]).token_ids) > 10
        with pytest.raises(Overloaded, match=rf"{tokens} tokens wait, \d+ more are over the 10"):
            batcher.submit(TEXTS[2], OPTIONS)
        gated.encoder_gate.set()


@pytest.mark.parametrize("breaks_at", [None, 3])
@pytest.mark.parametrize(
    "error", [EngineError("the engine is broken"), MemoryError("much"), ValueError("a bug")]
)
def test_one_that_the_engine_fails_with_fails_alone(
    summarizer: Summarizer,
    alone: Summarizer,
    gated: GatedEngine,
    error: Exception,
    breaks_at: int | None,
) -> None:
    gated.broken = {summarizer.encode(TEXTS[2]).token_ids}
    gated.breaks_at, gated.error = breaks_at, error
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=3) as batcher:
        futures = [batcher.submit(text, OPTIONS) for text in TEXTS[:3]]
        assert all_same(futures[:2], alone, OPTIONS)
        messages = r"is broken|not enough memory \(much\)|failed with ValueError: a bug: report it"
        with pytest.raises(EngineError, match=messages):
            futures[2].result(PATIENCE_S)
        wait_until(lambda: batcher.counters().ran_s)
        counters = batcher.counters()
    assert (counters.failed, counters.finished) == (1, 2)
    assert [len(batch) for batch in gated.batches] == [3, 1, 1, 1]


def test_what_was_told_before_the_engine_failed_is_not_done_again(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.broken = {summarizer.encode(TEXTS[2]).token_ids}
    gated.breaks_at = 15
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=6) as batcher:
        futures = [batcher.submit(text, GREEDY) for text in TEXTS[:6]]
        assert wait(futures, PATIENCE_S).not_done == set()
        counters = batcher.counters()
    assert (counters.failed, counters.finished) == (1, 5)
    again = [batch[0] for batch in gated.batches[1:]]
    assert sorted(again) == sorted(summarizer.encode(text).token_ids for text in TEXTS[:5])


@pytest.mark.parametrize(
    "options",
    [{"num_beams": 1}, {"num_beams": 3}, {"num_beams": 2, "decoder_input_ids": [5, 7]}],
)
def test_what_is_certain_is_told_to_those_who_asked(
    summarizer: Summarizer, alone: Summarizer, options: dict[str, Any]
) -> None:
    given = GenerationOptions(max_length=20, **options)
    told: dict[int, list[Partial]] = {number: [] for number in (0, 2, 3)}
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=4) as batcher:
        futures = [
            batcher.submit(text, given, on_partial=told[number].append if number in told else None)
            for number, text in enumerate(TEXTS[:4])
        ]
        assert all_same(futures, alone, given)
    for number, parts in told.items():
        assert parts == list(alone.stream(TEXTS[number], given))[:-1]
    assert any(told.values())


def test_what_on_partial_raises_is_the_error_of_its_own_document(
    summarizer: Summarizer, alone: Summarizer
) -> None:
    def leave(part: Partial) -> None:
        raise ConnectionError("gone")

    options = GenerationOptions(num_beams=1, max_length=12)
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=3) as batcher:
        futures = [batcher.submit(text, options) for text in TEXTS[:2]]
        gone = batcher.submit(TEXTS[2], options, on_partial=leave)
        assert all_same(futures, alone, options)
        with pytest.raises(ConnectionError, match="gone"):
            gone.result(PATIENCE_S)
        assert batcher.counters().failed == 1


def test_higher_priorities_go_first(summarizer: Summarizer, gated: GatedEngine) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, batch_size=1) as batcher:
        batcher.submit(TEXTS[0], OPTIONS)
        wait_until(lambda: gated.batches)
        for priority, text in enumerate(TEXTS[1:4]):
            batcher.submit(text, OPTIONS, priority=priority)
        gated.encoder_gate.set()
    expected = [summarizer.encode(TEXTS[number]).token_ids for number in (0, 3, 2, 1)]
    assert [batch[0] for batch in gated.batches] == expected


def test_several_workers_run_batches_at_once(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0, batch_size=1, workers=2) as batcher:
        futures = [batcher.submit(text, OPTIONS) for text in TEXTS[:4]]
        wait_until(lambda: len(gated.batches) == 2)
        assert batcher.counters().running == 2
        gated.encoder_gate.set()
        assert all_same(futures, alone, OPTIONS)


def test_a_task_that_is_cancelled_cancels_its_document(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    async def run(batcher: Batcher) -> Summary:
        gated.encoder_gate.clear()
        future = asyncio.wrap_future(batcher.submit(TEXTS[0], OPTIONS))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(future, 0.05)
        assert batcher.counters().cancelled == 1
        gated.encoder_gate.set()
        return await asyncio.wrap_future(batcher.submit(TEXTS[0], OPTIONS))

    with Batcher(summarizer) as batcher:
        assert asyncio.run(run(batcher)) == summarizer.summarize(TEXTS[0], OPTIONS, timeout_s=60)


def test_counters_tell_what_was_done(summarizer: Summarizer) -> None:
    with Batcher(summarizer, max_wait_ms=10_000, batch_size=3) as batcher:
        futures = [batcher.submit(text, OPTIONS) for text in TEXTS[:6]]
        found = [future.result(PATIENCE_S) for future in futures]
    counters = batcher.counters()
    assert (counters.submitted, counters.finished, counters.running) == (6, 6, 0)
    assert (counters.batches, counters.batched_documents) == (2, 6)
    assert counters.batch_sizes == (0, 0, 2, *[0] * 13)
    lengths = [len(summarizer.encode(text).token_ids) for text in TEXTS[:6]]
    assert counters.source_tokens == sum(lengths)
    assert counters.summary_tokens == sum(len(each.token_ids) for each in found)
    assert 0 < counters.steps <= 2 * 11
    assert counters.ran_s > 0
    assert counters.waited_s > 0


def test_a_long_text_is_an_error_or_cut(summarizer: Summarizer) -> None:
    text = " ".join(TEXTS)
    with Batcher(summarizer) as batcher:
        with pytest.raises(InputError, match="source has"):
            batcher.submit(text, OPTIONS)
        assert batcher.summarize(text, OPTIONS, long="truncate").truncated
        encoding = summarizer.encode(text, truncate=True)
        assert batcher.submit(encoding, OPTIONS).result(PATIENCE_S).truncated
        with pytest.raises(InputError, match="encoding has token 9999"):
            batcher.submit(replace(encoding, token_ids=(9999, 1)))
        with pytest.raises(OptionsError, match="does not take long='chunk' yet"):
            batcher.submit(text, long="chunk")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"long": "cut"}, "long is 'cut', expected one of error, truncate, chunk"),
        ({"priority": 0.5}, "priority is 0.5, expected an integer"),
        ({"deadline_s": -1}, "deadline_s is -1, expected a number of seconds from 0 up"),
        ({"deadline_s": float("nan")}, "deadline_s is nan, expected a number of seconds"),
        ({"options": GenerationOptions(num_beams=99)}, "num_beams"),
    ],
)
def test_what_cannot_be_met_is_refused_at_once(
    summarizer: Summarizer, arguments: dict[str, Any], message: str
) -> None:
    with Batcher(summarizer) as batcher, pytest.raises(OptionsError, match=message):
        batcher.submit(TEXTS[0], **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_queue": 0}, "max_queue is 0, expected an integer from 1 up"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"max_queue_tokens": 0}, "max_queue_tokens is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"max_wait_ms": "5"}, "max_wait_ms is '5', expected a number of milliseconds from 0 up"),
    ],
)
def test_a_batcher_that_cannot_be_is_refused(
    summarizer: Summarizer, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionsError, match=message):
        Batcher(summarizer, **arguments)
