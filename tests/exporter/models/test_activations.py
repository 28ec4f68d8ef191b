"""The feed-forward layers' activations: torch's own, and one operator in ONNX Runtime."""

from pathlib import Path

import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from exporter.tolerances import assert_close
from pegasus_export.graphs.definition import GraphDefinition, GraphInput
from pegasus_export.models.pegasus import ACTIVATIONS
from pegasus_export.stages.trace import trace_graph

TORCH = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_new": lambda hidden: functional.gelu(hidden, approximate="tanh"),
    "silu": functional.silu,
}
LOADED = {
    "relu": ["FusedGemm", "Gemm"],
    "gelu": ["Gemm", "Gelu", "Gemm"],
    "gelu_new": ["Gemm", "FastGelu", "Gemm"],
    "silu": ["Gemm", "QuickGelu", "Gemm"],
}


class _BetweenProducts(nn.Module):
    """An activation where it stands in the network; the products change nothing."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[name]
        self.product = nn.Linear(8, 8)
        self.product.weight.data = torch.eye(8)
        self.product.bias.data.zero_()

    def forward(self, hidden: Tensor) -> Tensor:
        activated: Tensor = self.product(self.activate(self.product(hidden)))
        return activated


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_torchs_and_one_operator_once_loaded(name: str, tmp_path: Path) -> None:
    definition = GraphDefinition(
        name="activation",
        module=_BetweenProducts(name).requires_grad_(False),
        arguments=(GraphInput(name="hidden", example=torch.zeros(3, 8), dynamic={0: "tokens"}),),
        outputs={"activated": ("tokens", 8)},
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ir.save(trace_graph(definition), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    hidden = torch.linspace(-12, 12, 4000).reshape(500, 8)
    (got,) = session.run(None, {"hidden": hidden.numpy()})
    assert_close(got, TORCH[name](hidden.double()).float())
    assert_close(ACTIVATIONS[name](hidden), TORCH[name](hidden.double()).float())
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert [node.op_type for node in nodes] == LOADED[name]
