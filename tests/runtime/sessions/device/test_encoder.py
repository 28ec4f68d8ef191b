"""Documents encoded together, alone, and where the decoder reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.sessions.device.arrays import allocate_arrays
from pegasus_runtime.sessions.device.encoder import DeviceEncoder, Encoded
from pegasus_runtime.sessions.device.encoder_groups import EncoderGroup, group_sources
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.device.protocol import Graph, PreparedRun, Rows, View
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs

SEQ2SEQ = "PegasusForConditionalGeneration"
BIGBIRD = "BigBirdPegasusForConditionalGeneration"


class CountingDevice(HostDevice):
    """Counts copies within it."""

    def __init__(self) -> None:
        self.num_copies = 0

    def copy(self, source: Rows, target: Rows) -> None:
        self.num_copies += 1
        super().copy(source, target)


class CountedGraph:
    """Remembers the shapes that were run."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ran: list[tuple[int, ...]] = []

    def prepare(self, views: Mapping[str, View]) -> PreparedRun:
        return CountedRun(self, self.graph.prepare(views), views["input_ids"].shape)


class CountedRun:
    def __init__(self, graph: CountedGraph, run: PreparedRun, shape: tuple[int, ...]) -> None:
        self.graph, self.prepared, self.shape = graph, run, shape

    def run(self, interrupt: Interrupt | None = None) -> None:
        self.graph.ran.append(self.shape)
        self.prepared.run(interrupt)


class Setting:
    """An encoder whose runs and copies are counted."""

    def __init__(self, bundle: Bundle) -> None:
        self.device = CountingDevice()
        graphs = load_host_graphs(bundle)
        self.graph = CountedGraph(graphs["encoder"])
        engine = DeviceEngine(bundle, self.device, {**graphs, "encoder": self.graph})
        self.encoder: DeviceEncoder = engine.encoder
        self.facts = bundle.manifest.architecture

    def allocate(self, batch: int, length: int) -> Encoded:
        shape = (batch, self.facts.decoder_heads, length, self.facts.head_dim)
        names = self.facts.cross_names
        return Encoded(cross=allocate_arrays(self.device, names, shape, np.dtype(np.float32)))

    def encode(self, sources: list[list[int]], encoded: Encoded) -> list[np.ndarray]:
        """The keys and values of each document's tokens."""
        self.graph.ran.clear()
        self.device.num_copies = 0
        self.encoder.encode(sources, encoded)
        found = [self.device.download(view) for view in encoded.cross.values()]
        return [
            np.stack([each[row, :, : len(source)] for each in found])
            for row, source in enumerate(sources)
        ]


@pytest.fixture
def make(tiny_bundle: Callable[..., Path]) -> Callable[[str], Setting]:
    return lambda architecture: Setting(open_bundle(tiny_bundle(architecture, "trt-rtx")))


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([8], [((0,), 8, 1)]),
        ([8, 8], [((0,), 8, 1), ((1,), 8, 1)]),
        ([8, 8, 8], [((0, 1, 2), 8, 4)]),
        ([8, 16, 8, 8], [((0, 2, 3), 8, 4), ((1,), 16, 1)]),
        ([8] * 5, [((0, 1, 2, 3), 8, 4), ((4,), 8, 1)]),
        ([99, 99, 99], [((0,), 99, 1), ((1,), 99, 1), ((2,), 99, 1)]),
    ],
)
def test_documents_of_a_length_go_together_where_more_than_half_of_a_batch_is_theirs(
    lengths: list[int], groups: list[tuple[tuple[int, ...], int, int]]
) -> None:
    found = group_sources(lengths, lambda length: 4 if length <= 16 else 1)
    assert found == tuple(EncoderGroup(rows=x, length=y, batch=z) for x, y, z in groups)


def test_together_and_alone_they_have_the_same_keys(make: Callable[[str], Setting]) -> None:
    setting = make(SEQ2SEQ)
    rng = np.random.default_rng(0)
    sources = [[*rng.integers(106, 180, n).tolist(), 1] for n in (3, 9, 7)]
    length = setting.encoder.padded_length(10)
    together = setting.encode(sources, setting.allocate(4, length))
    assert setting.graph.ran == [(4, length)]
    assert setting.device.num_copies == 0
    for source, got in zip(sources, together, strict=True):
        (expected,) = setting.encode([source], setting.allocate(1, length))
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert setting.graph.ran == [(1, length)]
        assert setting.device.num_copies == 0


def test_what_does_not_fit_in_place_is_copied(make: Callable[[str], Setting]) -> None:
    setting = make(SEQ2SEQ)
    longer = setting.encoder.padded_length(90)
    sources = [[110, 120, 1], [*range(106, 186), 1], [130, 1]]
    lengths = [setting.encoder.padded_length(len(each)) for each in sources]
    assert lengths[0] == lengths[2] < lengths[1] == longer
    got = setting.encode(sources, setting.allocate(4, longer))
    assert setting.graph.ran == [(1, lengths[0]), (1, lengths[0]), (1, longer)]
    assert setting.device.num_copies == 3 * len(setting.facts.cross_names)
    for source, length, ours in zip(sources, lengths, got, strict=True):
        (expected,) = setting.encode([source], setting.allocate(1, length))
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_memory_is_bound_once_for_each_place(make: Callable[[str], Setting]) -> None:
    setting = make(SEQ2SEQ)
    length = setting.encoder.padded_length(3)
    encoded = setting.allocate(1, length)
    for token in (110, 120):
        setting.encode([[token, 1]], encoded)
    assert len(encoded.runs) == 1
    (first,) = encoded.runs.values()
    setting.encoder.give_back()
    got = setting.encode([[120, 1]], encoded)
    (second,) = encoded.runs.values()
    assert second[1] is not first[1]  # which reads memory that others may have by now
    (expected,) = setting.encode([[120, 1]], setting.allocate(1, length))
    np.testing.assert_array_equal(got[0], expected)


def test_block_sparse_documents_are_encoded_one_by_one(make: Callable[[str], Setting]) -> None:
    setting = make(BIGBIRD)
    length = setting.encoder.padded_length(50)
    setting.encode([[*range(106, 155), 1]] * 4, setting.allocate(4, length))
    assert setting.graph.ran == [(1, length)] * 4
