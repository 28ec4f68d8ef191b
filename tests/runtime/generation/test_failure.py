"""Errors that are returned: who fails, who is tried again, and what is let go."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.errors import EngineError, GenerationInterrupted, InputError, OptionsError
from pegasus_runtime.generation.failure import Failure, check_errors, record_failure, run_batches


class Runner:
    """Squares its documents; fails on batches with bad ones, and writes down what it was given."""

    def __init__(self, *bad: int, most: int = 9, error: Any = None) -> None:
        self.bad, self.most = set(bad), most
        self.error = error or EngineError("out of memory")
        self.batches: list[list[int]] = []
        self.done: list[int] = []

    def __call__(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        if self.bad & set(batch) or len(batch) > self.most:
            raise self.error
        return [document**2 for document in batch]


def run_all(*arguments: Any, **named: Any) -> dict[int, Any]:
    return dict(run_batches(*arguments, **named))


def test_every_document_has_its_result() -> None:
    run = Runner()
    results = run_all([[3, 1], [2]], run, errors="raise", on_done=run.done.append)
    assert results == {1: 1, 2: 4, 3: 9}
    assert run.done == [2, 1]


def test_an_error_is_raised_where_errors_are() -> None:
    run = Runner(1)
    with pytest.raises(EngineError, match=r"^out of memory$"):
        run_all([[3, 1], [2]], run, errors="raise", on_done=run.done.append)
    assert (run.batches, run.done) == ([[3, 1]], [])


def test_the_documents_of_a_batch_that_fails_are_tried_alone_and_the_next_batch_is_not() -> None:
    run = Runner(1)
    results = run_all([[3, 1, 5], [2, 4]], run, errors="return", on_done=run.done.append)
    assert run.batches == [[3, 1, 5], [3], [1], [5], [2, 4]]
    assert run.done == [1, 1, 1, 2]
    failure = results[1]
    assert failure == Failure(document=1, error=run.error)
    assert {number: results[number] for number in (2, 3, 4, 5)} == {2: 4, 3: 9, 4: 16, 5: 25}


def test_a_batch_that_is_too_large_loses_no_document() -> None:
    run = Runner(most=1)
    results = run_all([[3, 1], [2]], run, errors="return", on_done=run.done.append)
    assert results == {1: 1, 2: 4, 3: 9}


def test_a_document_alone_is_tried_once() -> None:
    run = Runner(2)
    run_all([[2]], run, errors="return", on_done=run.done.append)
    assert (run.batches, run.done) == ([[2]], [1])


def test_memory_of_numpy_that_is_short_fails_as_an_engine_does() -> None:
    """One document alone, where errors are returned; its class is NumPy's own."""

    def run(batch: Sequence[int]) -> list[int]:
        if 1 in batch:
            np.empty(2**58)
        return [document**2 for document in batch]

    results = run_all([[3, 1], [2]], run, errors="return", on_done=lambda count: None)
    failure = results.pop(1)
    assert results == {2: 4, 3: 9}
    assert isinstance(failure.error, EngineError)
    says = r"^not enough memory \(Unable to allocate 2\.00 EiB .*\): give shorter documents, or ask"
    with pytest.raises(EngineError, match=says):
        raise failure.error
    with pytest.raises(EngineError, match=says):
        run_all([[3, 1], [2]], run, errors="raise", on_done=lambda count: None)


def test_an_interruption_is_raised_in_any_case() -> None:
    run = Runner(1, error=GenerationInterrupted("generation was cancelled"))
    with pytest.raises(GenerationInterrupted, match="cancelled"):
        run_all([[3, 1], [2]], run, errors="return", on_done=run.done.append)
    assert run.batches == [[3, 1]]


def test_a_programming_error_is_raised_in_any_case() -> None:
    run = Runner(1, error=ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_all([[3, 1], [2]], run, errors="return", on_done=run.done.append)


def test_no_batches_have_no_results() -> None:
    run = Runner()
    assert run_all([], run, errors="return", on_done=run.done.append) == {}


class Cache(np.ndarray):
    """An array that one may wait for to go away."""


def test_a_failure_does_not_keep_the_memory_of_the_failed_call() -> None:
    caches = []

    def fail() -> None:
        cache = np.zeros(9).view(Cache)
        caches.append(weakref.ref(cache))
        raise MemoryError(len(cache))

    def translate() -> None:
        try:
            fail()
        except MemoryError as err:
            raise EngineError("out of memory") from err

    failure = None
    try:
        translate()
    except EngineError as err:
        failure = record_failure(3, err)
    assert failure is not None
    assert isinstance(failure.error.__cause__, MemoryError)
    assert caches[0]() is None


def test_a_failed_batch_is_let_go_before_its_documents_are_tried() -> None:
    caches: list[weakref.ref[Cache]] = []

    def run(batch: Sequence[int]) -> list[int]:
        assert all(cache() is None for cache in caches)
        cache = np.zeros(9).view(Cache)
        caches.append(weakref.ref(cache))
        raise InputError(f"no room for {len(cache)}")

    results = run_all([[0, 1]], run, errors="return", on_done=lambda count: None)
    assert len(caches) == 3
    assert [result.document for result in results.values() if isinstance(result, Failure)] == [0, 1]


def test_errors_are_raised_or_returned() -> None:
    check_errors("raise")
    check_errors("return")
    with pytest.raises(OptionsError, match=r"^errors is 'ignore', expected 'raise' or 'return'$"):
        check_errors("ignore")
