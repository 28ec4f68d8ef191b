"""Progress that is counted, and generations that are ended."""

import threading

import numpy as np
import pytest

from pegasus_runtime.errors import GenerationInterrupted, OptionsError
from pegasus_runtime.generation.watch import Watch
from runtime.search.markov_engine import MarkovDecoding, MarkovEngine, random_chain


def num_watchers() -> int:
    return sum(each.name == "pegasus-interrupt" for each in threading.enumerate())


def test_finished_documents_are_counted_up() -> None:
    calls: list[tuple[int, int]] = []
    watch = Watch(7, on_progress=lambda *c: calls.append(c), cancel=None, timeout_s=None)
    for count in (0, 2, 1, 4):
        watch.count(count)
    assert calls == [(2, 7), (3, 7), (7, 7)]


def test_documents_that_nobody_counted_are_counted_as_they_are_read() -> None:
    calls: list[tuple[int, int]] = []
    watch = Watch(
        None, on_progress=lambda *counts: calls.append(counts), cancel=None, timeout_s=None
    )
    documents = watch.see(iter("abc"))
    assert [next(documents), next(documents)] == ["a", "b"]
    watch.count(1)
    assert next(documents) == "c"
    watch.count(2)
    assert calls == [(1, 2), (3, 3)]


def test_nobody_needs_to_listen() -> None:
    watch = Watch(2, on_progress=None, cancel=threading.Event(), timeout_s=60)
    watch.count(2)
    watch.check()
    watch.check_step(1)


def test_a_set_event_ends_it() -> None:
    cancel = threading.Event()
    cancel.set()
    watch = Watch(2, on_progress=None, cancel=cancel, timeout_s=None)
    with pytest.raises(GenerationInterrupted, match=r"^generation was cancelled$"):
        watch.check()


def test_time_that_is_up_ends_it() -> None:
    watch = Watch(2, on_progress=None, cancel=None, timeout_s=0)
    with pytest.raises(
        GenerationInterrupted, match=r"^generation took longer than 0 s: allow more"
    ):
        watch.check_step(3)


def test_a_timeout_is_a_number_of_seconds() -> None:
    with pytest.raises(
        OptionsError, match=r"^timeout_s is -1, expected a number of seconds from 0"
    ):
        Watch(2, on_progress=None, cancel=None, timeout_s=-1)
    with pytest.raises(OptionsError, match=r"^timeout_s is '5', expected a number of seconds"):
        Watch(2, on_progress=None, cancel=None, timeout_s="5")  # type: ignore[arg-type]


def test_only_what_can_be_ended_has_a_thread_that_looks() -> None:
    engine = MarkovEngine(random_chain(np.random.default_rng(0), num_kinds=1, vocab_size=4))
    before = num_watchers()
    watch = Watch(1, on_progress=None, cancel=None, timeout_s=None)
    with watch.interrupt() as none, watch.interrupting(engine) as same:
        assert (none, same) == (None, engine)
        assert num_watchers() == before
    watch = Watch(1, on_progress=None, cancel=threading.Event(), timeout_s=None)
    with watch.interrupting(engine) as interrupted:
        assert num_watchers() == before + 1
        decoding = interrupted.start([[2, 1]], rows_per_document=1, max_length=4)
        assert isinstance(decoding, MarkovDecoding)
    assert num_watchers() == before


def test_what_is_watched_is_named() -> None:
    watch = Watch(
        1, on_progress=None, cancel=None, timeout_s=0, what="classification", shorter="short texts"
    )
    message = r"^classification took longer than 0 s: allow more time, short texts$"
    with pytest.raises(GenerationInterrupted, match=message):
        watch.check()
