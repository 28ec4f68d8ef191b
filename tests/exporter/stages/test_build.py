"""Graphs are traced once, whatever recipes a bundle is built by."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from pegasus_engines.precision.residual_shift import ResidualShift
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.request.progress import Advance
from pegasus_export.stages.build import Builder
from pegasus_export.stages.export import ExportRequest
from pegasus_export.stages.prepare import prepare
from pegasus_runtime.bundle import write_bundle

FC2 = "model.decoder.layers.0.fc2.weight"


class Shown:
    """Remembers the stages."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextlib.contextmanager
    def __call__(
        self, name: str, total_bytes: int | None = None, *, total_steps: int | None = None
    ) -> Iterator[Advance]:
        self.names.append(name)
        yield lambda count: None


def settings_of(pegasus: Pegasus) -> list[object]:
    norms = [module for module in pegasus.modules() if isinstance(module, torch.nn.LayerNorm)]
    return [pegasus.embed_scale, *(norm.eps for norm in norms)]


def built(graph: Path) -> tuple[float, float, np.ndarray]:
    """Epsilon, factor of embedded tokens, and one weight that writes into the residual stream."""
    model = ir.load(graph)
    norm = next(node for node in model.graph if node.op_type == "LayerNormalization")
    rows = next(node for node in model.graph if node.op_type == "Gather").outputs[0]
    (use,) = rows.uses()
    factor = use.node.inputs[1]
    assert factor is not None
    assert factor.const_value is not None
    weight = model.graph.initializers[FC2].const_value
    assert weight is not None
    epsilon = norm.attributes["epsilon"].as_float()
    return epsilon, float(factor.const_value.numpy()), weight.numpy().astype(np.float32)


def test_each_residual_shift_reaches_graphs_and_weights_and_leaves_the_module(
    tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    model = str(tiny_checkpoint("PegasusForCausalLM"))
    request = ExportRequest(model=model, output=tmp_path / "b", target="onnx", precision="fp16")
    shown, source_hash = Shown(), Future[str]()
    source_hash.set_result("0" * 64)
    found = []
    with write_bundle(request.output) as staging:
        prepared = prepare(request, "onnx", staging.path)
        before = settings_of(prepared.pegasus)
        builder = Builder(prepared, staging, source_hash, shown)
        for bits in (4, 7):
            shift = ResidualShift(bits=bits)
            recipe = dataclasses.replace(prepared.recipe, residual_shift=shift)
            assert builder.build(recipe).recipe["residual_shift"] == bits
            found.append(built(staging.path / "model.onnx"))
        assert settings_of(prepared.pegasus) == before
    assert [name for name in shown.names if name.startswith("trace")] == ["trace model"]
    (epsilon, factor, weight), (later_epsilon, later_factor, later_weight) = found
    assert (epsilon, later_epsilon) == pytest.approx((1e-5 / 2**8, 1e-5 / 2**14))
    assert later_factor * 2**3 == factor
    np.testing.assert_allclose(later_weight * 2**3, weight, rtol=1e-3, atol=1e-6)
