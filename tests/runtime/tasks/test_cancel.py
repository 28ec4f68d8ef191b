"""Cancels at random moments, from other threads: each ends its own call, and the next is right."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import GenerationInterrupted, GenerationOptions, Summarizer
from pegasus_runtime.bundle import Bundle

TEXTS = list(tiny_sentences()[:12])
OPTIONS = GenerationOptions(num_beams=4, min_length=20, max_length=24)
THREADS, ROUNDS = 3, 5


def test_threads_that_share_a_summarizer_are_cancelled_alone(bundle: Bundle) -> None:
    with Summarizer.load(bundle.folder, threads=1) as summarizer:
        right = [each.token_ids for each in summarizer.summarize(TEXTS, OPTIONS)]

        def call_and_cancel(number: int) -> int:
            moments, ended = random.Random(number), 0
            for _ in range(ROUNDS):
                cancel = threading.Event()
                timer = threading.Timer(moments.uniform(0, 0.08), cancel.set)
                timer.start()
                try:
                    summarizer.summarize(TEXTS, OPTIONS, cancel=cancel)
                except GenerationInterrupted:
                    ended += 1
                timer.join()
                found = summarizer.summarize(TEXTS, OPTIONS, cancel=threading.Event())
                assert [each.token_ids for each in found] == right
            return ended

        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(call_and_cancel, range(THREADS))) > 0
    assert not [each for each in threading.enumerate() if each.name == "pegasus-interrupt"]
