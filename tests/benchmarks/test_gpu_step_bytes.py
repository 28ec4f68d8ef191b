"""The bytes that are counted are those of the arrays that a step is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gpu_step_bytes
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.bundle.graph_weights import read_graph_weights
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs


def test_they_are_those_of_a_bundle(tiny_bundle: Callable[..., Path]) -> None:
    bundle = open_bundle(tiny_bundle("PegasusForConditionalGeneration", "trt-rtx"))
    facts = bundle.manifest.architecture
    weights = {
        each.name: each
        for each in read_graph_weights((bundle.folder / "decoder_step.onnx").read_bytes())
    }
    matrices = [each for each in weights.values() if len(each.shape) == 2]
    positions = [each for each in matrices if "embed_positions" in each.name]
    ffn_dim = max(max(each.shape) for each in matrices if ".fc1" in each.name)
    decoder = gpu_step_bytes.Decoder(
        layers=facts.decoder_layers,
        d_model=facts.d_model,
        ffn_dim=ffn_dim,
        vocab_size=facts.vocab_size,
    )
    in_fp16 = gpu_step_bytes.ITEM_BYTES / 4
    (table,) = bundle.manifest.tables.values()
    padded = table.shape[0] - facts.vocab_size
    counted = sum(int(np.prod(each.shape)) for each in matrices if each not in positions)
    counted += int(np.prod(table.shape)) if "model.shared.weight" not in weights else 0
    counted -= padded * facts.d_model
    assert counted * gpu_step_bytes.ITEM_BYTES == decoder.weight_bytes

    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    decoding = engine.start([[110, 1]], rows_per_document=8, max_length=40)
    cache = sum(view.num_bytes for view in decoding.cache.past.values())
    assert cache * in_fp16 == decoder.cache_bytes(decoding.cache.length, beams=8)
    source = sum(view.num_bytes for view in decoding.workspace.encoded.cross.values())
    assert source * in_fp16 == decoder.cache_bytes(decoding.workspace.sizes.source)


@pytest.mark.parametrize(
    ("times", "steps", "mean"), [((32,), 32, 32), ((32, 64), 64, 48), ((32, 64), 33, 32 + 32 / 33)]
)
def test_the_mean_length_is_over_the_steps(times: tuple[int, ...], steps: int, mean: float) -> None:
    assert gpu_step_bytes.mean_length(times, steps) == pytest.approx(mean)


def test_the_tables_are_made() -> None:
    decoder = gpu_step_bytes.Decoder()
    table = gpu_step_bytes.make_bytes_table(decoder)
    assert len(table.rows) == 12
    assert decoder.weight_bytes == pytest.approx(667e6, rel=1e-3)
    assert table.rows[-1][2] == pytest.approx(134.2, abs=0.1)
    assert gpu_step_bytes.make_calls_table(decoder).rows[1][2] == 1
