"""TensorRT's encoder of BigBirdPegasus against target ort's, which is held against transformers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from made_once import MadeOnce
from pegasus_export.request.export import PlanRequest
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.sessions.device.arrays import allocate_arrays
from pegasus_runtime.sessions.device.encoder import Encoded
from pegasus_runtime.sessions.device.engine import DeviceEngine
from pegasus_runtime.sessions.host.device import HostDevice
from pegasus_runtime.sessions.host.graph import load_host_graphs
from pegasus_runtime.sessions.ort.encoder import OrtEncoder

SEQ2SEQ = "BigBirdPegasusForConditionalGeneration"
LENGTHS = [1, 4, 12, 13, 35, 36, 37, 40, 61, 96]  # blocks of 4, in full up to 36, 96 positions


@pytest.fixture(scope="module", params=["hf-eval", "seeded"])
def bundles(
    request: pytest.FixtureRequest, made_once: MadeOnce, tiny_checkpoint: Callable[[str], Path]
) -> dict[str, Bundle]:
    """Of both targets, in one pattern."""
    return {
        target: made_once.export(
            model=str(tiny_checkpoint(SEQ2SEQ)),
            target=target,
            random_blocks=request.param,
            plans=PlanRequest(onnx_only=True) if target == "trt-rtx" else PlanRequest(),
        ).bundle
        for target in ("ort", "trt-rtx")
    }


def test_documents_of_every_length_have_the_same_keys(bundles: dict[str, Bundle]) -> None:
    oracle, bundle = OrtEncoder(bundles["ort"]), bundles["trt-rtx"]
    engine = DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle))
    facts, rng = bundle.manifest.architecture, np.random.default_rng(0)
    for length in LENGTHS:
        source = [*rng.integers(2, facts.vocab_size, length - 1).tolist(), 1]
        padded = engine.encoder.padded_length(length)
        assert padded % 4 == 0
        shape = (1, facts.decoder_heads, padded, facts.head_dim)
        names = engine.encoder.names
        cross = allocate_arrays(engine.device, names, shape, np.dtype(np.float32))
        engine.encoder.encode([source], Encoded(cross=cross))
        expected = oracle.encode([source])
        for name in names:
            got = engine.device.download(cross[name])[:, :, :length]
            exact = expected[name].array[:, :, :length]
            assert np.abs(got - exact).max() <= 1e-4 * max(1, np.abs(exact).max()), (length, name)
