"""Many threads at once, each with options, deadlines, priorities and cancels of its own."""

from __future__ import annotations

import random
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    Batcher,
    GenerationInterrupted,
    GenerationOptions,
    Overloaded,
    Partial,
    Summarizer,
)
from runtime.batcher.gated_engine import GatedEngine

TEXTS = list(tiny_sentences()[:10])
OPTIONS = [
    GenerationOptions(num_beams=1, max_length=8),
    GenerationOptions(num_beams=2, max_length=10),
    GenerationOptions(num_beams=1, max_length=8, do_sample=True, seed=5, top_k=10),
]
THREADS, ROUNDS = 8, 40


@pytest.mark.parametrize("workers", [1, 2])
def test_each_gets_its_own_summary_or_its_own_end(
    summarizer: Summarizer, alone: Summarizer, gated: GatedEngine, workers: int
) -> None:
    expected = {
        (text, number): alone.summarize(text, options).token_ids
        for text in TEXTS
        for number, options in enumerate(OPTIONS)
    }
    batcher = Batcher(summarizer, max_wait_ms=1, max_queue=24, batch_size=6, workers=workers)
    ends = {"finished": 0, "cancelled": 0, "expired": 0, "refused": 0}
    lock = threading.Lock()

    def submit(draw: random.Random) -> str:
        text, number = draw.choice(TEXTS), draw.randrange(len(OPTIONS))
        parts: list[Partial] = []
        try:
            future = batcher.submit(
                text,
                OPTIONS[number],
                priority=draw.randrange(3),
                deadline_s=draw.choice([None, None, 0.0, 0.01, 5.0, 60.0]),
                on_partial=parts.append if draw.random() < 0.3 else None,
            )
        except Overloaded:
            return "refused"
        if draw.random() < 0.3:
            threading.Event().wait(draw.random() * 0.02)
            future.cancel()
        try:
            tokens = future.result(120).token_ids
        except CancelledError:
            return "cancelled"
        except GenerationInterrupted:
            return "expired"
        assert tokens == expected[text, number]
        assert all(tokens[: len(part.token_ids)] == part.token_ids for part in parts)
        return "finished"

    def call(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(ROUNDS):
            end = submit(draw)
            with lock:
                ends[end] += 1

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(call, range(THREADS)))
    batcher.close()
    counters = batcher.counters()
    assert (counters.waiting, counters.running, counters.failed) == (0, 0, 0)
    assert counters.refused == ends["refused"]
    assert counters.submitted == THREADS * ROUNDS - ends["refused"]
    assert counters.submitted == counters.finished + counters.cancelled + counters.expired
    assert counters.expired == ends["expired"]
    assert ends["finished"] <= counters.finished  # some were cancelled as they were told
    assert sum(counters.batch_sizes) == counters.batches == len(gated.batches)
    assert min(ends["finished"], ends["cancelled"], ends["expired"]) > 0
    names = {each.name for each in threading.enumerate()}
    assert not {name for name in names if name.startswith(("pegasus-batcher", "pegasus-interrupt"))}
    assert not batcher._desk._requests
    assert not batcher._desk._queue._levels
