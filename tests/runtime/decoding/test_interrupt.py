"""Runs that are ended from another thread: at once, each by its own, and none for the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import EngineError, GenerationInterrupted


def watchers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "pegasus-interrupt"]


def check_of(cancel: threading.Event) -> Callable[[], None]:
    def check() -> None:
        if cancel.is_set():
            raise GenerationInterrupted("generation was cancelled")

    return check


def test_a_run_is_ended_and_raises_what_ends_it() -> None:
    cancel, ended = threading.Event(), threading.Event()

    def run() -> None:
        assert ended.wait(60)
        raise EngineError("ONNX Runtime failed: Exiting due to terminate flag")

    with Interrupt(check_of(cancel)) as interrupt:
        threading.Timer(0.03, cancel.set).start()
        with pytest.raises(GenerationInterrupted, match="cancelled"), interrupt.ending(ended.set):
            run()


def test_a_run_that_ended_by_itself_as_it_was_interrupted_is_interrupted() -> None:
    cancel, ended = threading.Event(), threading.Event()
    cancel.set()
    with (
        Interrupt(check_of(cancel)) as interrupt,
        pytest.raises(GenerationInterrupted, match="cancelled"),
        interrupt.ending(ended.set),
    ):
        assert ended.wait(60)


def test_what_begins_after_that_does_not_run() -> None:
    cancel, ended, runs = threading.Event(), threading.Event(), []
    cancel.set()
    with Interrupt(check_of(cancel)) as interrupt:
        with pytest.raises(GenerationInterrupted), interrupt.ending(ended.set):
            assert ended.wait(60)
        with pytest.raises(GenerationInterrupted), interrupt.ending(lambda: runs.append("ended")):
            runs.append("ran")
    assert runs == []


def test_nothing_is_asked_between_two_runs_and_nothing_that_has_ended_is_ended() -> None:
    asked: list[str] = []
    ended: list[str] = []
    now = "first"
    with Interrupt(lambda: asked.append(now)) as interrupt:
        with interrupt.ending(lambda: ended.append("first")):
            time.sleep(0.05)
        now = "between"
        time.sleep(0.05)
        now = "second"
        with interrupt.ending(lambda: ended.append("second")):
            time.sleep(0.05)
    assert set(asked) == {"first", "second"}
    assert ended == []


def test_an_error_of_the_run_stays_what_it_is() -> None:
    with (
        Interrupt(lambda: None) as interrupt,
        pytest.raises(EngineError, match="no memory"),
        interrupt.ending(lambda: None),
    ):
        raise EngineError("ONNX Runtime failed: no memory")


def test_whatever_a_cancel_raises_is_raised_where_it_was_given() -> None:
    ended = threading.Event()

    def check() -> None:
        raise ValueError("the window is closed")

    with Interrupt(check) as interrupt, pytest.raises(ValueError, match="window is closed"):  # noqa: SIM117
        with interrupt.ending(ended.set):
            assert ended.wait(60)


def test_its_thread_is_gone_when_its_block_is() -> None:
    before = len(watchers())
    with Interrupt(lambda: None):
        assert len(watchers()) == before + 1
    assert len(watchers()) == before
