"""The feed-forward layers' activations: transformers' own, and fused by ONNX Runtime."""

from pathlib import Path

import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from exporter.tolerances import assert_close
from pegasus_export.checkpoint.activation_names import ACTIVATIONS as NAMES
from pegasus_export.graphs.definition import GraphDefinition, GraphInput
from pegasus_export.models.activations import ACTIVATIONS
from pegasus_export.stages.trace import trace_graph

LOADED = {
    "relu": ["FusedGemm", "Gemm"],
    "gelu": ["Gemm", "Gelu", "Gemm"],
    "gelu_new": ["Gemm", "FastGelu", "Gemm"],
    "silu": ["Gemm", "QuickGelu", "Gemm"],
    "quick_gelu": ["Gemm", "QuickGelu", "Gemm"],
    "leaky_relu": ["FusedGemm", "Gemm"],
    "linear": ["Gemm", "Gemm"],
    "relu6": ["Gemm", "Clip", "Gemm"],
    "sigmoid": ["FusedGemm", "Gemm"],
    "tanh": ["FusedGemm", "Gemm"],
}
"""What ONNX Runtime makes of those that it has an operator for."""


@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_transformers_to_the_last_digits(name: str) -> None:
    hidden = torch.linspace(-60, 60, 24001)
    ours, exact = ACTIVATIONS[NAMES[name]](hidden), ACT2FN[name](hidden.double())
    allowed = 1e-6 * (1 + hidden.double().abs()) * (hidden.double().abs() if name == "relu2" else 1)
    assert ((ours.double() - exact).abs() <= allowed).all()
    if name not in ("gelu", "gelu_10", "gelu_fast", "gelu_pytorch_tanh", "mish", "sqrtsoftplus"):
        assert torch.equal(ours, ACT2FN[name](hidden))


class _BetweenProducts(nn.Module):
    """An activation where it stands in the network; the products change nothing."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.activate = {str(key): value for key, value in ACTIVATIONS.items()}[name]
        self.product = nn.Linear(8, 8)
        self.product.weight.data = torch.eye(8)
        self.product.bias.data.zero_()

    def forward(self, hidden: Tensor) -> Tensor:
        activated: Tensor = self.product(self.activate(self.product(hidden)))
        return activated


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_runs_in_onnx_runtime_and_is_one_operator_where_it_has_one(
    name: str, tmp_path: Path
) -> None:
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
    assert_close(got, ACT2FN[name](hidden.double()).float())
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert [node.op_type for node in nodes] == LOADED.get(name, [node.op_type for node in nodes])
