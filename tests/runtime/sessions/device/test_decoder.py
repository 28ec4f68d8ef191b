"""What a step returns where a device selects equal scores in any order, or what is not finite.

TensorRT documents neither the order of equal scores in ITopKLayer, nor what NaN does to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.decoding.candidates import select_top
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.device.protocol import Graph, PreparedRun, View
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs


class RoundedGraph:
    """A decoder step whose scores are rounded, so that many are equal, and selected last id first;
    NaN, of rows that are spoilt, is not selected at all."""

    def __init__(self, graph: Graph, device: HostDevice, step: float) -> None:
        self.graph, self.device, self.step = graph, device, step
        self.spoilt_rows: list[int] = []

    def prepare(self, views: Mapping[str, View]) -> PreparedRun:
        return RoundedRun(self, self.graph.prepare(views), views)


class RoundedRun:
    def __init__(self, graph: RoundedGraph, run: PreparedRun, views: Mapping[str, View]) -> None:
        self.graph, self.prepared, self.views = graph, run, views

    def run(self, interrupt: Interrupt | None = None) -> None:
        self.prepared.run(interrupt)
        device, views = self.graph.device, self.views
        log_probs = np.maximum(device.download(views["log_probs"]), -1e6)  # padding is -3e38
        log_probs = (np.round(log_probs / self.graph.step) * self.graph.step).astype(np.float32)
        count = views["top_ids"].shape[1]
        ids = log_probs.shape[1] - 1 - np.argsort(-log_probs[:, ::-1], axis=1, kind="stable")
        ids = ids[:, :count]
        normalizer = device.download(views["log_normalizer"])
        normalizer[self.graph.spoilt_rows] = np.nan
        device.upload(log_probs, views["log_probs"])
        device.upload(normalizer, views["log_normalizer"])
        device.upload(np.take_along_axis(log_probs, ids, axis=1), views["top_scores"])
        device.upload(ids.astype(views["top_ids"].dtype), views["top_ids"])


@pytest.fixture
def bundle(tiny_bundle: Callable[..., Path]) -> Bundle:
    return open_bundle(tiny_bundle("PegasusForConditionalGeneration", "trt-rtx"))


@pytest.fixture
def engine(bundle: Bundle) -> Callable[[float], DeviceEngine]:
    def make(step: float) -> DeviceEngine:
        device, graphs = HostDevice(), load_host_graphs(bundle)
        rounded = RoundedGraph(graphs["decoder_step"], device, step)
        return DeviceEngine(bundle, device, {**graphs, "decoder_step": rounded})

    return make


@pytest.mark.parametrize("step", [0.25, 1.0, 100.0])
def test_equal_scores_come_by_ascending_id(
    engine: Callable[[float], DeviceEngine], step: float
) -> None:
    """Those that the graph did not select, too, where the last one's score goes on."""
    decoding = engine(step).start([[110, 1], [120, 130, 1]], rows_per_document=4, max_length=9)
    scores = decoding.step(np.zeros(2, np.int64), None, num_candidates=8, full=False)
    full = decoding.workspace.scores.download()["log_probs"]
    expected = select_top(full[[0, 8], : decoding.vocab_size], 8)
    np.testing.assert_array_equal(scores.top_ids, expected.ids)
    np.testing.assert_array_equal(scores.top_scores, expected.scores)
    assert scores.log_probs is None


def test_what_is_not_finite_is_seen_though_it_is_not_selected(
    engine: Callable[[float], DeviceEngine],
) -> None:
    made = engine(0.25)
    decoding = made.start([[110, 1], [120, 130, 1]], rows_per_document=4, max_length=9)
    graph = made.decoder_step
    assert isinstance(graph, RoundedGraph)
    graph.spoilt_rows = [8]
    scores = decoding.step(np.zeros(2, np.int64), None, num_candidates=8, full=False)
    assert np.isnan(scores.top_scores).all(axis=1).tolist() == [False, True]
    assert decoding.workspace.is_spoilt
    graph.spoilt_rows = [9]  # of a beam that nobody asked for
    scores = decoding.step(np.zeros(2, np.int64), None, num_candidates=8, full=False)
    assert np.isfinite(scores.top_scores).all()
