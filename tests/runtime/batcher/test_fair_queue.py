"""The order of those that wait: pure, and what a flood may cost others."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence

import pytest

from pegasus_runtime.batcher.fair_queue import FairQueue, Place
from pegasus_runtime.generation.batching import Plan

SHORT, LONG = 40, 4000


def plan_of(size: int) -> Callable[[Hashable], Plan]:
    """So many documents together, longest first."""

    def plan(lengths: Mapping[int, int]) -> Sequence[Sequence[int]]:
        order = sorted(lengths, key=lambda number: -lengths[number])
        return [order[start : start + size] for start in range(0, len(order), size)]

    return lambda settings: plan


def place(
    number: int, tokens: int, *, settings: str = "", priority: int = 0, cost: float | None = None
) -> Place:
    cost = float(tokens) if cost is None else cost
    return Place(number=number, settings=settings, tokens=tokens, cost=cost, priority=priority)


def take(queue: FairQueue, size: int = 4) -> list[int]:
    """Numbers of the next batch."""
    return [each.number for each in queue.take(queue.choose(plan_of(size)))]


def filled(*places: Place) -> FairQueue:
    queue = FairQueue()
    for each in places:
        queue.add(each)
    return queue


def test_documents_alike_go_in_the_order_in_which_they_came() -> None:
    queue = filled(*(place(number, SHORT) for number in range(10)))
    assert [sorted(take(queue)) for _ in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(queue) == 0


def test_a_higher_priority_goes_first_and_a_lower_one_fills_its_batch_up() -> None:
    queue = filled(
        *(place(number, SHORT) for number in range(3)),
        *(place(number, SHORT, priority=1) for number in range(3, 9)),
    )
    assert sorted(take(queue)) == [3, 4, 5, 6]
    assert sorted(take(queue)) == [0, 1, 7, 8]
    assert sorted(take(queue)) == [2]


def test_documents_of_other_settings_do_not_run_together() -> None:
    queue = filled(place(0, SHORT, settings="a"), place(1, SHORT, settings="b"))
    assert take(queue) == [0]
    assert take(queue) == [1]


def test_a_short_document_does_not_run_with_one_that_is_far_longer() -> None:
    queue = filled(place(0, SHORT), place(1, LONG), place(2, LONG // 2), place(3, 500))
    assert take(queue) == [3, 0]
    assert take(queue) == [1, 2]


def test_neighbours_in_length_run_together() -> None:
    tokens = [100, 400, 110, 390, 105, 410, 95, 405]
    queue = filled(*(place(number, each) for number, each in enumerate(tokens)))
    assert sorted(take(queue)) == [0, 2, 4, 6]


def test_a_batch_is_full_when_no_other_fits() -> None:
    queue = filled(*(place(number, SHORT) for number in range(3)))
    assert not queue.choose(plan_of(4)).is_full
    queue.add(place(3, SHORT))
    assert queue.choose(plan_of(4)).is_full


def test_what_is_removed_is_not_there_and_what_is_not_there_may_be_removed() -> None:
    queue = filled(place(0, SHORT), place(1, LONG), place(2, SHORT))
    queue.remove(0)
    queue.remove(0)
    assert (len(queue), queue.tokens, queue.cost) == (2, SHORT + LONG, SHORT + LONG)
    assert {*take(queue), *take(queue)} == {1, 2}
    assert (len(queue), queue.tokens, queue.cost) == (0, 0, 0.0)


def serve(
    arrivals: Sequence[tuple[float, Place]], *, size: int = 4
) -> tuple[dict[int, float], float]:
    """When each document starts, and the longest batch, on an engine that takes a batch's cost in
    seconds. Arrivals are by time."""
    queue, clock, started, longest = FairQueue(), 0.0, {}, 0.0
    coming = deque(arrivals)
    while coming or len(queue):
        if not len(queue):
            clock = max(clock, coming[0][0])
        while coming and coming[0][0] <= clock:
            queue.add(coming.popleft()[1])
        batch = queue.take(queue.choose(plan_of(size)))
        started.update((each.number, clock) for each in batch)
        seconds = sum(each.cost for each in batch)
        clock, longest = clock + seconds, max(longest, seconds)
    return started, longest


@pytest.mark.parametrize(("flood", "single"), [(LONG, SHORT), (SHORT, LONG)])
def test_a_flood_keeps_another_kind_waiting_for_no_more_than_the_batch_that_runs(
    flood: int, single: int
) -> None:
    many = [(0.0, place(number, flood)) for number in range(200)]
    for moment in (1.0, 3.5 * flood, 100.5 * flood):
        started, longest = serve([*many, (moment, place(200, single))])
        assert started[200] - moment <= longest


def test_a_flood_of_other_settings_does_not_either() -> None:
    many = [(0.0, place(number, SHORT, settings="beams")) for number in range(200)]
    started, longest = serve([*many, (1.0, place(200, SHORT, settings="greedy"))])
    assert started[200] - 1.0 <= longest


def test_two_floods_get_as_much_of_the_engine_as_each_other() -> None:
    queue, spent = FairQueue(), {SHORT: 0.0, LONG: 0.0}
    for number in range(4000):
        queue.add(place(number, SHORT if number % 2 else LONG))
    for _ in range(100):
        for each in queue.take(queue.choose(plan_of(4))):
            spent[each.tokens] += each.cost
        assert abs(spent[SHORT] - spent[LONG]) <= 2 * 4 * LONG
    assert min(spent.values()) > 10 * 4 * SHORT


def test_nobody_catches_up_on_what_he_did_not_ask_for() -> None:
    queue = filled(*(place(number, LONG) for number in range(40)))
    for _ in range(5):
        take(queue)
    for number in range(100, 140):
        queue.add(place(number, LONG // 8))
    costs = [sum(each.cost for each in queue.take(queue.choose(plan_of(4)))) for _ in range(11)]
    assert costs.index(4 * LONG) <= 8, "the newcomers got more than the batch that ran before"


def test_those_who_come_with_new_settings_do_not_pass_others_for_ever() -> None:
    queue = filled(*(place(number, SHORT) for number in range(40)))
    starts = []
    for number in range(100, 200):
        queue.add(place(number, SHORT, settings=f"seed {number}"))
        starts.append(take(queue)[0])
    assert sum(start < 100 for start in starts) >= 5


def test_everything_that_came_is_served_once_however_it_came() -> None:
    draw = random.Random(4)
    queue, waiting, served = FairQueue(), set(), []
    for number in range(600):
        settings, priority = draw.choice("ab"), draw.choice([-1, 0, 0, 5])
        tokens = draw.choice([20, 300, 700, 3000])
        queue.add(place(number, tokens, settings=settings, priority=priority))
        waiting.add(number)
        if draw.random() < 0.2:
            gone = draw.choice(sorted(waiting))
            queue.remove(gone)
            waiting.discard(gone)
        if draw.random() < 0.2:
            served += take(queue, draw.choice([1, 4, 16]))
            waiting -= set(served)
        assert len(queue) == len(waiting)
    while len(queue):
        served += take(queue, 16)
    assert sorted(served) == sorted(set(served))
    assert waiting <= set(served)
    assert not queue._levels, "something of those that are gone is left"


def test_what_a_busy_queue_remembers_of_flows_does_not_grow() -> None:
    queue = filled(place(0, SHORT))
    for number in range(1, 2000):
        queue.add(place(number, SHORT, settings=f"seed {number}"))
        take(queue)
    (level,) = queue._levels.values()
    assert len(level.ends) <= 3


@pytest.mark.parametrize("border", [181, 215, 256, 304, 362, 512])
def test_neighbours_in_length_are_served_as_they_come(border: int) -> None:
    draw = random.Random(1)
    lengths = [border + draw.choice([-6, -5, -4, -3, 4, 5, 6]) for _ in range(400)]
    lengths[200:] = [border - 5] * 150 + [border + 5] + [border - 5] * 49
    queue = filled(*(place(number, tokens, cost=600.0) for number, tokens in enumerate(lengths)))
    places = {number: turn for turn in range(100) for number in take(queue)}
    assert len(places) == 400
    assert max(abs(places[number] - number // 4) for number in places) <= 17


def test_length_has_no_border_at_which_one_waits_twice_as_long() -> None:
    draw = random.Random(2)
    lengths = [round(73 * 2 ** (1.9 * draw.random())) for _ in range(64)]
    queue, coming = FairQueue(), iter(range(10**6))
    came: dict[int, int] = {}
    waits: list[int] = []
    tokens: dict[int, int] = {}

    def come(length: int, turn: int) -> None:
        number = next(coming)
        came[number], tokens[number] = turn, length
        queue.add(place(number, length, cost=length + 256.0))

    for length in lengths:
        come(length, 0)
    for turn in range(400):  # each comes back when it was served: nobody waits much longer
        for number in take(queue, 8):
            waits.append(turn - came[number])
            come(tokens[number], turn)
    settled = sorted(waits[len(waits) // 4 :])
    middle = settled[len(settled) // 2]
    assert settled[-1] <= 3 * max(middle, 1), (middle, settled[-20:])


def test_nobody_waits_for_those_who_gave_up() -> None:
    flood = [place(number, LONG, settings="flood") for number in range(400)]
    gone = [place(number, LONG, settings="other") for number in range(400, 600)]
    queue = filled(*flood, *gone, place(600, LONG, settings="other"))
    for each in gone:
        queue.remove(each.number)
    queue.add(place(601, LONG, settings="other"))
    order = [number for _ in range(4) for number in sorted(take(queue))]
    assert {600, 601} <= set(order[:8])


def test_what_was_served_counts_also_where_another_gave_up() -> None:
    queue = filled(*(place(number, LONG, settings="a") for number in range(40)))
    taken = [take(queue) for _ in range(5)]
    for number in range(100, 140):
        queue.add(place(number, LONG, settings="b"))
    queue.remove(39)
    served = [take(queue)[0] for _ in range(8)]
    assert len(taken) == 5
    assert sum(number >= 100 for number in served) in (4, 5), served
