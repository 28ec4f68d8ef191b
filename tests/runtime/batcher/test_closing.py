"""How a Batcher ends: closed, let go of, forked, with its interpreter, or by a fault of its own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Hashable
from concurrent.futures import Future, wait

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    Batcher,
    BundleError,
    EngineError,
    GenerationInterrupted,
    GenerationOptions,
    OptionsError,
    Overloaded,
    Summarizer,
    Summary,
)
from pegasus_runtime.batcher.desk import Desk, Limits
from pegasus_runtime.batcher.request import Request
from pegasus_runtime.batcher.worker import Workers
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.generation.batching import Plan
from runtime.batcher.gated_engine import PATIENCE_S, GatedEngine, wait_until

TEXTS = list(tiny_sentences()[:4])
OPTIONS = GenerationOptions(num_beams=1, max_length=12)


def own_threads() -> list[str]:
    names = (each.name for each in threading.enumerate())
    return [name for name in names if name.startswith(("pegasus-batcher", "pegasus-interrupt"))]


def test_closing_finishes_what_there_is_and_refuses_what_comes(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    batcher = Batcher(summarizer, max_wait_ms=0, batch_size=1)
    futures = [batcher.submit(text, OPTIONS) for text in TEXTS]
    wait_until(lambda: gated.batches)
    closer = threading.Thread(target=batcher.close)
    closer.start()
    wait_until(lambda: batcher._desk._closing)
    with pytest.raises(Overloaded, match="the Batcher is closing: submit to another one"):
        batcher.submit(TEXTS[0], OPTIONS)
    gated.encoder_gate.set()
    closer.join(PATIENCE_S)
    assert all(future.result(0).text for future in futures)
    with pytest.raises(BundleError, match="the Batcher is closed: make another one"):
        batcher.submit(TEXTS[0], OPTIONS)
    batcher.close()
    counters = batcher.counters()
    assert (counters.refused, counters.finished, counters.waiting) == (1, 4, 0)
    assert own_threads() == []
    assert summarizer.summarize(TEXTS[0], OPTIONS, timeout_s=60).text, "the engine was closed, too"


def test_closing_at_once_ends_what_waits_and_runs(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    batcher = Batcher(summarizer, max_wait_ms=0, batch_size=1)
    futures = [batcher.submit(text, OPTIONS) for text in TEXTS]
    wait_until(lambda: gated.batches)
    batcher.close(finish=False)
    for future in futures:
        with pytest.raises(GenerationInterrupted, match="the Batcher was closed meanwhile"):
            future.result(0)
    assert batcher.counters().cancelled == 4
    assert own_threads() == []


def test_an_error_within_a_with_block_ends_what_waits(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    futures: list[Future[Summary]] = []

    def fail() -> None:
        with Batcher(summarizer) as batcher:
            futures.append(batcher.submit(TEXTS[0], OPTIONS))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert isinstance(futures[0].exception(0), GenerationInterrupted)


@pytest.mark.parametrize("finish", [True, False])
def test_a_callback_may_close_and_does_not_wait_for_itself(
    summarizer: Summarizer, finish: bool
) -> None:
    batcher = Batcher(summarizer, max_wait_ms=0)
    future = batcher.submit(TEXTS[0], OPTIONS)
    closed = threading.Event()

    def close(_: Future[Summary]) -> None:
        batcher.close(finish=finish)
        closed.set()

    future.add_done_callback(close)
    assert closed.wait(PATIENCE_S)
    batcher.close()
    assert own_threads() == []


def test_a_callback_may_submit_and_must_not_summarize(summarizer: Summarizer) -> None:
    found: list[object] = []
    with Batcher(summarizer, max_wait_ms=0) as batcher:

        def go_on(_: Future[Summary]) -> None:
            try:
                batcher.summarize(TEXTS[1], OPTIONS)
            except OptionsError as err:
                found.append(err)
            found.append(batcher.submit(TEXTS[1], OPTIONS))

        batcher.submit(TEXTS[0], OPTIONS).add_done_callback(go_on)
        wait_until(lambda: len(found) == 2)
    refusal, future = found
    assert "would wait for itself: call submit in callbacks" in str(refusal)
    assert isinstance(future, Future)
    assert future.result(0).text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(3)])
def test_a_callback_that_raises_stops_nobody(summarizer: Summarizer, error: BaseException) -> None:
    def fail(_: Future[Summary]) -> None:
        raise error

    with Batcher(summarizer, max_wait_ms=50) as batcher:
        first = batcher.submit(TEXTS[0], OPTIONS)
        first.add_done_callback(fail)
        second = batcher.submit(TEXTS[1], OPTIONS)
        assert second.result(PATIENCE_S).text
        assert batcher.summarize(TEXTS[2], OPTIONS).text


def test_one_that_nobody_holds_any_more_does_what_it_took_and_goes(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    batcher = Batcher(summarizer, max_wait_ms=0, batch_size=1)
    futures = [batcher.submit(text, OPTIONS) for text in TEXTS]
    del batcher
    gc.collect()
    gated.encoder_gate.set()
    assert wait(futures, PATIENCE_S).not_done == set()
    wait_until(lambda: own_threads() == [])


SCRIPT = """
import sys
from pathlib import Path
from pegasus_runtime import Batcher, GenerationOptions, Summarizer
summarizer = Summarizer.load(Path(sys.argv[1]), threads=1)
batcher = Batcher(summarizer, batch_size=1, max_queue=5000)
long = GenerationOptions(num_beams=8, min_length=90, max_length=96)
futures = [batcher.submit(sys.argv[2], long) for _ in range(5000)]
futures[0].result()
print("ends", flush=True)
"""


def test_an_interpreter_ends_with_a_batcher_that_is_open(bundle: Bundle) -> None:
    arguments = [sys.executable, "-c", SCRIPT, str(bundle.folder), TEXTS[0]]
    result = subprocess.run(
        arguments, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert (result.stdout, result.stderr) == ("ends\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_process_it_says_so_and_closes(bundle: Bundle) -> None:
    with Summarizer.load(bundle.folder, threads=1) as summarizer:
        batcher = Batcher(summarizer)
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:  # pragma: no cover
            try:
                batcher.submit(TEXTS[0], OPTIONS)
            except EngineError as err:
                batcher.close()
                os.write(writing, str(err).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            assert "before this process was forked" in pipe.read()
        os.waitpid(child, 0)
        batcher.close()


def test_a_summarizer_that_is_closed_takes_and_runs_nothing_more(
    summarizer: Summarizer, gated: GatedEngine
) -> None:
    gated.encoder_gate.clear()
    with Batcher(summarizer, max_wait_ms=0) as batcher:
        running = batcher.submit(TEXTS[0], OPTIONS)
        wait_until(lambda: gated.batches)
        waiting = batcher.submit(TEXTS[1], OPTIONS)
        summarizer.close()
        with pytest.raises(BundleError, match="the Summarizer is closed: load it again"):
            batcher.submit(TEXTS[2], OPTIONS)
        gated.encoder_gate.set()
        assert running.result(PATIENCE_S).text
        with pytest.raises(BundleError, match="the Summarizer is closed: load it again"):
            waiting.result(PATIENCE_S)
    with pytest.raises(BundleError, match="the Summarizer is closed"):
        Batcher(summarizer)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_a_worker_is_the_error_of_all_that_waits(summarizer: Summarizer) -> None:
    def plan(settings: Hashable) -> Plan:
        raise ZeroDivisionError("a bug")

    limits = Limits(max_queue=9, max_queue_tokens=None, max_wait_s=0.0)
    desk = Desk("the desk", limits, plan, workers=1)
    request = Request(
        encoding=summarizer.encode(TEXTS[0]),
        settings=summarizer.resolve(OPTIONS),
        priority=0,
        deadline_s=None,
        on_partial=None,
    )
    workers = Workers(desk, lambda desk, requests: None)
    desk.put(request)
    message = "the desk failed with ZeroDivisionError: a bug: report it"
    with pytest.raises(EngineError, match=message):
        request.future.result(PATIENCE_S)
    workers.join()
    assert desk.counters().failed == 1
    with pytest.raises(BundleError, match="the desk is closed: make another one"):
        desk.check_room()
