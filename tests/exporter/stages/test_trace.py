"""Modules to graphs: names, symbolic sizes, and weights that stay the checkpoint's."""

from collections.abc import Callable

import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from exporter.traced_module import TracedModule
from pegasus_export.graphs import ort
from pegasus_export.graphs.definition import GraphDefinition, GraphInput, integers
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.trace import OPSET, trace_graph


def test_an_encoder_is_traced_without_copying_its_weights(
    tiny_pegasus: Callable[[str], Pegasus], capfd: pytest.CaptureFixture[str]
) -> None:
    pegasus = tiny_pegasus("PegasusForConditionalGeneration")
    definition = ort.seq2seq_graphs(pegasus)[0]
    model = trace_graph(definition)
    assert capfd.readouterr().out == ""
    assert model.graph.name == definition.name == "encoder"
    assert model.opset_imports[""] == OPSET
    state = pegasus.state_dict()
    shared = [name for name in model.graph.initializers if name in state]
    assert len(shared) > 30
    for name in shared:
        value = model.graph.initializers[name]
        assert value.name == name
        assert value.const_value is not None
        assert value.const_value.numpy().ctypes.data == state[name].data_ptr()


class _Fixing(nn.Module):
    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + torch.zeros(4)


def test_a_dynamic_size_that_tracing_would_fix_is_refused() -> None:
    hidden = GraphInput(name="hidden", example=torch.zeros(2, 4), dynamic={0: "rows", 1: "width"})
    definition = GraphDefinition(
        name="small",
        module=_Fixing().eval(),
        arguments=(hidden,),
        outputs={"sum": ("rows", "width")},
    )
    with pytest.raises(Exception, match="tracing inferred a static shape of 4"):
        trace_graph(definition)


class _Sum(nn.Module):
    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + 1.0


def test_a_graph_tells_nothing_of_the_machine_that_it_was_made_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As outside the tests, where `ask_once` has turned it off.
    monkeypatch.setattr("torch.fx.config.do_not_emit_stack_traces", False)
    hidden = GraphInput(name="hidden", example=torch.zeros(2, 4), dynamic={0: "rows"})
    definition = GraphDefinition(
        name="small", module=_Sum().eval(), arguments=(hidden,), outputs={"sum": ("rows", 4)}
    )
    model = trace_graph(definition)
    assert b"test_trace.py" not in ir.serde.serialize_model(model).SerializeToString()
    assert not any(node.metadata_props for node in model.graph)


class _Conversions(nn.Module):
    """The operators that the tracer translates by itself, in every type that they take."""

    def forward(self, ids: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        as_float = ids.to(torch.float32)
        return 1.0 - as_float, 2.5 - as_float, ids.to(torch.int32), ids.to(torch.bool)


def test_the_tracers_own_translations_mean_what_torch_means() -> None:
    inputs = [
        integers("ids", ("rows", "width"), {"rows": 2, "width": 3}),
        GraphInput(name="count", example=torch.tensor([4]), dynamic={}),
    ]
    names = ("flipped", "subtracted", "integers", "flags")
    traced = TracedModule(_Conversions(), inputs, dict.fromkeys(names, ("rows", "width")))
    feeds = (torch.tensor([[0, 1, -7]]), torch.tensor([1]))
    for got, expected in zip(traced.run(*feeds), traced.run_eagerly(*feeds), strict=True):
        assert got.dtype == expected.dtype
        assert got.tolist() == expected.tolist()


def test_a_definition_lists_its_inputs_flat_and_with_symbolic_shapes(
    tiny_pegasus: Callable[[str], Pegasus],
) -> None:
    encoder, step = ort.seq2seq_graphs(tiny_pegasus("PegasusForConditionalGeneration"))
    shapes = [(x.name, x.shape) for x in encoder.inputs()]
    assert shapes == [(name, ("batch", "source")) for name in ("input_ids", "attention_mask")]
    names = [x.name for x in step.inputs()]
    assert len(set(names)) == len(names) == 5 + 4 * 2
    examples = [id(x.example) for x in step.inputs()]
    assert len(set(examples)) == len(examples)
