"""Memory that is kept for the next batch: taken again, given back when it is short, and shared by
threads and finalizers."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.device.protocol import (
    Buffer,
    Graph,
    NoMemoryError,
    PreparedRun,
    View,
)
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs
from pegasus_runtime.tasks.warm_up import run_all_sizes

SEQ2SEQ = "PegasusForConditionalGeneration"
BIGBIRD = "BigBirdPegasusForConditionalGeneration"
SOURCE = [110, 120, 1]


class SmallDevice(HostDevice):
    """Has so many bytes; memory comes back when nothing refers to it."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__()
        self.free = num_bytes

    def allocate(self, num_bytes: int) -> Buffer:
        if num_bytes > self.free:
            raise NoMemoryError(f"no memory for {num_bytes} bytes: ask for fewer beams")
        buffer = super().allocate(num_bytes)
        self.free -= num_bytes
        weakref.finalize(buffer, self._return, num_bytes)
        return buffer

    def _return(self, num_bytes: int) -> None:
        self.free += num_bytes


class CountedGraph:
    """Remembers the shapes for which it was prepared."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.prepared: list[tuple[int, ...]] = []
        """[B, S] of the source, and T of the cache."""

    def prepare(self, views: Mapping[str, View]) -> PreparedRun:
        cache = views.get("cache_indirection")
        length = () if cache is None else cache.shape[2:]
        self.prepared.append((*views["attention_mask"].shape, *length))
        return self.graph.prepare(views)


@pytest.fixture(scope="module")
def bundles(tiny_bundle: Callable[..., Path]) -> Callable[[str], Bundle]:
    return lambda architecture: open_bundle(tiny_bundle(architecture, "trt-rtx"))


def run_one(engine: DeviceEngine, batch: int = 1, length: int = 3) -> None:
    decoding = engine.start([[110] * length] * batch, rows_per_document=4, max_length=9)
    decoding.step(np.zeros(batch, np.int64), None, num_candidates=4, full=False)


def bytes_of(bundle: Bundle, batch: int) -> int:
    """What a batch takes, with what the engine holds anyway."""
    device = SmallDevice(2**40)
    engine = DeviceEngine(bundle, device, load_host_graphs(bundle))
    run_one(engine, batch)
    assert engine._returned
    return 2**40 - device.free


def test_memory_that_is_kept_is_given_back_where_a_batch_needs_it(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    device = SmallDevice(bytes_of(bundle, 4) + 1000)
    engine = DeviceEngine(bundle, device, load_host_graphs(bundle))
    for batch in (1, 4, 1, 4):
        run_one(engine, batch)
        gc.collect()


def test_memory_that_is_not_there_at_all_is_an_error_and_the_next_batch_may_fit(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    device = SmallDevice(bytes_of(bundle, 1) + 1000)
    engine = DeviceEngine(bundle, device, load_host_graphs(bundle))
    for _ in range(2):
        with pytest.raises(EngineError, match=r"^no memory for \d+ bytes: ask for fewer beams$"):
            run_one(engine, 4)
        run_one(engine, 1)


def test_a_batch_that_is_being_decoded_keeps_its_memory(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    device = SmallDevice(bytes_of(bundle, 1) + 1000)
    engine = DeviceEngine(bundle, device, load_host_graphs(bundle))
    decoding = engine.start([SOURCE], rows_per_document=4, max_length=9)
    with pytest.raises(NoMemoryError):
        run_one(engine, 1)
    scores = decoding.step(np.zeros(1, np.int64), None, num_candidates=4, full=False)
    assert np.isfinite(scores.top_scores).all()


def test_a_cache_that_has_no_room_to_grow_takes_that_of_others(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    device = SmallDevice(bytes_of(bundle, 1) + bytes_of(bundle, 4) + 1000)
    engine = DeviceEngine(bundle, device, load_host_graphs(bundle))
    run_one(engine, 4)
    decoding = engine.start([SOURCE], rows_per_document=4, max_length=40)
    device.free = 0  # but for what the engine keeps
    tokens, parents = np.zeros(1, np.int64), None
    for _ in range(33):
        scores = decoding.step(tokens, parents, num_candidates=4, full=False)
        tokens, parents = scores.top_ids[:1, :4].reshape(-1), np.zeros((1, 4), np.int64)
    assert decoding.cache.length == 48
    assert np.isfinite(scores.top_scores).all()


def test_a_batch_that_ended_since_the_last_start_is_given_back_too(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    device = SmallDevice(2**40)
    engine = DeviceEngine(bundle, device, load_host_graphs(bundle))
    decoding = engine.start([SOURCE], rows_per_document=4, max_length=40)
    other = engine.start([SOURCE] * 4, rows_per_document=4, max_length=40)
    other.step(np.zeros(4, np.int64), None, num_candidates=4, full=False)
    engine.encoder.give_back()
    del other
    assert len(engine._returned) == 1
    device.free = 0
    decoding.length = 32
    decoding._grow()
    assert decoding.cache.length == 48
    assert not engine._returned


class HungryGraph(CountedGraph):
    """Takes memory as it is prepared, as contexts do."""

    def __init__(self, graph: Graph, device: SmallDevice, num_bytes: int) -> None:
        super().__init__(graph)
        self.device, self.num_bytes = device, num_bytes
        self.held: list[Buffer] = []

    def prepare(self, views: Mapping[str, View]) -> PreparedRun:
        self.held.append(self.device.allocate(self.num_bytes))
        return super().prepare(views)


def test_what_a_failed_try_had_got_is_free_for_the_next(bundles: Callable[[str], Bundle]) -> None:
    """The cache itself fits at first, and what binds it does not."""
    bundle = bundles(SEQ2SEQ)
    device = SmallDevice(2**40)
    graphs = load_host_graphs(bundle)
    step = HungryGraph(graphs["decoder_step"], device, 0)
    engine = DeviceEngine(bundle, device, {**graphs, "decoder_step": step})
    run_one(engine, 1)
    decodings = [engine.start([SOURCE], rows_per_document=4, max_length=40) for _ in range(2)]
    before = device.free
    decodings[1].length = 32
    decodings[1]._grow()
    cache_bytes = before - device.free
    kept_bytes = bytes_of(bundle, 1) // 2
    step.num_bytes = kept_bytes
    run_one(engine, 1)
    engine.encoder.give_back()
    decodings[0].length = 32
    device.free = cache_bytes
    decodings[0]._grow()
    assert decodings[0].cache.length == 48


def test_a_batch_that_was_never_stepped_or_whose_step_failed_is_not_kept(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    decoding = engine.start([SOURCE], rows_per_document=4, max_length=9)
    del decoding
    assert not engine._returned
    decoding = engine.start([SOURCE], rows_per_document=4, max_length=9)
    decoding.step(np.zeros(1, np.int64), None, num_candidates=4, full=False)
    decoding.cache.prepared = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        decoding.step(
            np.zeros(4, np.int64), np.zeros((1, 4), np.int64), num_candidates=4, full=False
        )
    del decoding
    assert not engine._returned


def test_what_is_not_finite_in_a_row_that_is_not_looked_at_is_not_kept(
    bundles: Callable[[str], Bundle],
) -> None:
    bundle = bundles(SEQ2SEQ)
    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    decoding = engine.start([SOURCE] * 2, rows_per_document=4, max_length=9)
    decoding.step(np.zeros(2, np.int64), None, num_candidates=4, full=False)
    decoding.keep(np.array([0]))
    key = decoding.cache.past["past_self_key.0"]
    content = engine.device.download(key)
    content[1] = np.nan
    engine.device.upload(content, key)
    parents = np.zeros((1, 4), np.int64)
    scores = decoding.step(np.full(4, 110), parents, num_candidates=4, full=False)
    assert np.isfinite(scores.top_scores).all()
    del decoding
    assert not engine._returned


@pytest.mark.parametrize("architecture", [SEQ2SEQ, BIGBIRD])
def test_what_was_warmed_up_is_there_for_every_size(
    bundles: Callable[[str], Bundle], architecture: str
) -> None:
    """Nothing is bound, or recorded, again."""
    bundle = bundles(architecture)
    graphs = load_host_graphs(bundle)
    counted = {name: CountedGraph(graph) for name, graph in graphs.items()}
    engine = DeviceEngine(bundle, HostDevice(), counted)
    run_all_sizes(engine, bundle.manifest)
    assert bundle.manifest.plans is not None
    profiles = bundle.manifest.plans.profiles["decoder_step"]
    step = counted["decoder_step"]
    assert {shape[2] for shape in step.prepared} == {32, 48}
    assert len(step.prepared) == len(set(step.prepared)) == 2 * len(profiles)
    for profile in profiles:
        for length in {profile["source"][0], profile["source"][-1]}:
            run_one(engine, profile["batch"][-1], min(length, 96))
    assert len(step.prepared) == 2 * len(profiles)


def test_batches_that_end_in_other_threads_are_kept_or_freed(
    bundles: Callable[[str], Bundle],
) -> None:
    """Finalizers run within any line, those that look for memory too."""
    bundle = bundles(SEQ2SEQ)
    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    failures: list[BaseException] = []

    def work(batch: int) -> None:
        try:
            for _ in range(20):
                run_one(engine, batch)
        except BaseException as err:
            failures.append(err)

    threads = [threading.Thread(target=work, args=[batch]) for batch in (1, 2, 1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(engine._kept) + len(engine._returned) <= 2 * engine._most_kept


def test_a_batch_may_end_within_the_search_for_memory(bundles: Callable[[str], Bundle]) -> None:
    """As when the garbage collector runs there."""
    bundle = bundles(SEQ2SEQ)
    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    held: list[Any] = [
        engine.start([SOURCE] * n, rows_per_document=4, max_length=9) for n in (1, 4)
    ]
    for decoding in held:
        decoding.workspace.is_spoilt = False  # as after a step
    sizes = held[0].workspace.sizes
    del decoding

    class Sizes(type(sizes)):  # type: ignore[misc]
        """Of which a comparison ends the other batches."""

        def __eq__(self, other: object) -> bool:
            held.clear()
            return super().__eq__(other)

        __hash__ = None  # type: ignore[assignment]

    engine._kept.append(held[1].workspace)
    wanted = Sizes(sizes.batch, sizes.beams, sizes.source, sizes.time)
    assert engine._take_workspace(wanted) is not None
    assert len(engine._returned) == 2
