"""Documents of any number: in order, as soon as they are done, never many at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.errors import EngineError, GenerationInterrupted, InputError
from pegasus_runtime.generation.failure import Errors, Failure
from pegasus_runtime.generation.stream import choose_batch, collect_results, run_stream

BATCH = 3


class Stream:
    """Items are lengths; a result is the length's negative. Writes down what is read and run."""

    def __init__(self, items: Sequence[Any], *, bad: int = -1, window: int = 6) -> None:
        self.items = items
        self.bad = bad
        self.window = window
        self.num_read = 0
        self.batches: list[list[int]] = []
        self.done: list[int] = []

    def read(self) -> Iterator[Any]:
        for item in self.items:
            self.num_read += 1
            yield item

    def run(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        if self.bad in batch:
            raise EngineError("no memory")
        return [-item for item in batch]

    def plan(self, lengths: Mapping[int, int]) -> list[list[int]]:
        order = sorted(lengths, key=lambda number: -lengths[number])
        return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def __call__(self, errors: Errors = "raise") -> Iterator[Any]:
        return run_stream(
            self.read(),
            self.run,
            self.plan,
            length=lambda item: item,
            errors=errors,
            on_done=self.done.append,
            window=self.window,
        )


def failure(document: int) -> Failure:
    return Failure(document=document, error=InputError(f"document {document}"))


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 9))
def test_every_item_has_its_result_in_order_and_few_are_read_ahead(
    items: list[int], window: int
) -> None:
    stream = Stream(items, window=window)
    for place, result in enumerate(stream()):
        assert result == -items[place]
        assert stream.num_read <= place + window
    assert sorted(item for batch in stream.batches for item in batch) == sorted(items)
    assert sum(stream.done) == len(items)


def test_neighbours_in_length_run_together_and_the_oldest_first() -> None:
    stream = Stream([9, 1, 8, 2, 7, 3], window=6)
    assert list(stream()) == [-9, -1, -8, -2, -7, -3]
    assert stream.batches == [[9, 8, 7], [3, 2, 1]]


def test_the_window_slides_after_each_batch() -> None:
    stream = Stream([8, 1, 9, 7, 2, 6, 3], window=4)
    assert list(stream()) == [-8, -1, -9, -7, -2, -6, -3]
    assert stream.batches == [[9, 8, 7], [2, 1], [6, 3]]  # of 8 1 9 7, of 1 2, of 6 3


@pytest.mark.parametrize(
    ("oldest", "batch"),
    [(0, [0, 2, 4]), (2, [0, 2, 4]), (5, [6, 5, 3]), (1, [5, 3, 1]), (3, [6, 5, 3])],
)
def test_a_batch_that_others_left_is_filled_with_its_neighbours(
    oldest: int, batch: list[int]
) -> None:
    lengths = {0: 9, 1: 1, 2: 8, 3: 2, 4: 7, 5: 3, 6: 4}
    assert choose_batch(lengths, oldest, Stream([]).plan) == batch


def test_a_batch_alone_is_not_filled() -> None:
    assert choose_batch({4: 9, 7: 3}, 7, Stream([]).plan) == [4, 7]


def test_a_result_comes_before_the_next_batch_runs() -> None:
    stream = Stream([5] * 9, window=6)
    results = stream()
    next(results)
    assert (len(stream.batches), stream.num_read) == (1, 6)
    next(results)
    assert (len(stream.batches), stream.num_read) == (1, 6)
    assert [len(list(results)), stream.num_read] == [7, 9]


def test_closing_stops_the_work() -> None:
    stream = Stream([5] * 99, window=6)
    results = stream()
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert (len(stream.batches), stream.num_read) == (1, 6)
    assert list(results) == []


def test_long_items_are_read_ahead_less_far_but_one_at_least() -> None:
    stream = Stream([2**18, 2**18, 5, 5, 5], window=5)
    results = stream()
    next(results)
    assert (stream.num_read, stream.batches) == (1, [[2**18]])
    assert len(list(results)) == 4


def test_failures_among_the_items_are_their_own_results() -> None:
    items = [5, failure(1), failure(2), 5, failure(4)]
    stream = Stream(items)
    assert list(stream("return")) == [-5, *items[1:3], -5, items[4]]
    assert stream.done == [3, 2]


def test_a_batch_that_fails_is_tried_one_by_one() -> None:
    stream = Stream([5, 6, 7], bad=6)
    first, second, third = stream("return")
    assert (first, third) == (-5, -7)
    assert isinstance(second, Failure)
    assert (second.document, str(second.error)) == (1, "no memory")
    assert stream.batches == [[7, 6, 5], [7], [6], [5]]
    with pytest.raises(EngineError, match=r"^no memory$"):
        list(Stream([5, 6, 7], bad=6)())


def test_a_failure_is_raised_when_its_turn_comes_and_nothing_is_read_behind_it() -> None:
    stream = Stream([5, 6, failure(2), 7, 8])
    results = stream()
    assert [next(results), next(results)] == [-5, -6]
    with pytest.raises(InputError, match=r"^document 2$"):
        next(results)
    assert stream.num_read == 3
    assert stream.batches == [[6, 5]]


def test_what_the_iterable_raises_is_raised() -> None:
    def broken() -> Iterator[int]:
        yield 5
        raise KeyError("lost")

    stream = Stream([])
    stream.read = broken  # type: ignore[method-assign]
    given: list[int] = []
    with pytest.raises(KeyError, match="lost"):
        given.extend(stream())
    assert given == [-5]  # what it gave before is not lost
    assert stream.done == [1]


def test_reading_may_be_ended_after_each_item() -> None:
    read: list[int] = []

    def check() -> None:
        read.append(len(read))
        if len(read) == 3:
            raise GenerationInterrupted("generation was cancelled")

    results = run_stream(
        iter([5, failure(1), 6, 7]),
        Stream([]).run,
        Stream([]).plan,
        length=lambda item: item,
        errors="return",
        on_done=lambda count: None,
        on_read=check,
    )
    with pytest.raises(GenerationInterrupted) as caught:
        next(results)
    nothing, failed, also_nothing = caught.value.results
    assert (nothing, also_nothing) == (None, None)
    assert isinstance(failed, Failure)
    assert len(read) == 3


@given(
    st.lists(st.one_of(st.integers(1, 50), st.none()), min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(0, 60),
    st.booleans(),
)
def test_what_is_given_and_what_an_interruption_has_make_up_all_that_was_read(
    lengths: list[int | None], window: int, moment: int, ends_while_reading: bool
) -> None:
    items = [failure(at) if each is None else each for at, each in enumerate(lengths)]
    stream, moments = Stream(items, bad=13, window=window), iter(range(99))
    run = stream.run

    def check() -> None:
        if next(moments) == moment:
            raise GenerationInterrupted("generation was cancelled")

    def run_or_end(batch: Sequence[int]) -> list[int]:
        check()
        return run(batch)

    results = run_stream(
        stream.read(),
        run_or_end,
        stream.plan,
        length=lambda item: item,
        errors="return",
        on_done=stream.done.append,
        on_read=check if ends_while_reading else lambda: None,
        window=window,
    )
    known: list[Any] = []
    try:
        for result in results:
            known.append(result)
    except GenerationInterrupted as err:
        known.extend(err.results)
        assert len(known) == stream.num_read
    else:
        assert len(known) == len(items)
        assert None not in known
    for place, result in enumerate(known):
        if isinstance(result, Failure):
            assert result.document == place
            assert lengths[place] in (None, 13)
        else:
            assert result in (None, -(lengths[place] or 0))
    assert sum(stream.done) <= sum(each is not None for each in known)


def test_an_interruption_says_what_was_finished_and_not_given_out() -> None:
    stream = Stream([1, 9, 2, 8, 3, 7], bad=0, window=6)
    ends = iter([False, True])

    def run(batch: Sequence[int]) -> list[int]:
        if next(ends):
            raise GenerationInterrupted("generation was cancelled")
        return [-item for item in batch]

    stream.run = run  # type: ignore[method-assign]
    results = stream()
    assert next(results) == -1
    with pytest.raises(GenerationInterrupted, match="cancelled") as caught:
        next(results)
    assert caught.value.results == (None, -2, None, -3, None)


def test_collected_results_hold_their_places_when_interrupted() -> None:
    def results() -> Iterator[int]:
        yield 1
        error = GenerationInterrupted("generation was cancelled")
        error.results = (None, 3)
        raise error

    with pytest.raises(GenerationInterrupted) as caught:
        collect_results(results(), 5)
    assert caught.value.results == (1, None, 3, None, None)
    assert collect_results(iter([1, 2]), 2) == [1, 2]
