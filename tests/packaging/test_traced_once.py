"""A network that was traced before need not be traced again; one that differs in a bit must."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from exporter.tiny_checkpoint import ARCHITECTURES
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.graphs import ort
from pegasus_export.graphs.definition import GraphDefinition, integers
from pegasus_export.models.loading import load_pegasus, unload_pegasus
from pegasus_export.models.pegasus import Pegasus
from traced_once import TracedOnce, describe_definition


def load(folder: Path) -> Pegasus:
    return load_pegasus(open_checkpoint(str(folder)))


def encoder(pegasus: Pegasus) -> GraphDefinition:
    return ort.seq2seq_graphs(pegasus)[0]


@pytest.fixture
def pegasus(tiny_checkpoint: Callable[..., Path]) -> Pegasus:
    return load(tiny_checkpoint())


@pytest.mark.parametrize("architecture", [each for each in ARCHITECTURES if "Conditional" in each])
def test_a_checkpoint_that_is_loaded_again_is_known(
    architecture: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    graphs = [ort.seq2seq_graphs(load(tiny_checkpoint(architecture))) for _ in "ab"]
    pairs = zip(*graphs, strict=True)
    keys = [(describe_definition(one), describe_definition(other)) for one, other in pairs]
    assert None not in keys[0]
    assert all(one == other for one, other in keys)
    assert len(set(keys)) == len(keys)


def _one_bit(pegasus: Pegasus) -> None:
    with torch.no_grad():
        weight = next(pegasus.parameters())
        weight.view(torch.int32)[0, 0] ^= 1


def _attribute(pegasus: Pegasus) -> None:
    pegasus.model.encoder.layers[1].scale = 2.0


CHANGES = (_one_bit, _attribute)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_differs_is_another(
    change: Callable[[Pegasus], None], tiny_checkpoint: Callable[..., Path]
) -> None:
    changed = load(tiny_checkpoint())
    before = describe_definition(encoder(changed))
    change(changed)
    assert describe_definition(encoder(changed)) != before


def test_inputs_and_outputs_count(pegasus: Pegasus) -> None:
    one = encoder(pegasus)
    described = {
        describe_definition(
            GraphDefinition(name=name, module=one.module, arguments=arguments, outputs=outputs)
        )
        for name, arguments, outputs in (
            (one.name, one.arguments, one.outputs),
            ("another", one.arguments, one.outputs),
            (one.name, one.arguments[:1], one.outputs),
            (one.name, one.arguments, {"another": ("batch",)}),
        )
    }
    assert len(described) == 4


class _Two(nn.Module):
    def __init__(self, one: Tensor, other: Tensor) -> None:
        super().__init__()
        self.one, self.other = one, other


def _definition(module: nn.Module) -> GraphDefinition:
    ids = integers("ids", ("batch", "source"), {"batch": 2, "source": 3})
    return GraphDefinition(
        name="small", module=module, arguments=(ids,), outputs={"next": ("batch", "source")}
    )


def test_one_tensor_twice_is_not_two_that_are_equal() -> None:
    one, other = torch.ones(2), torch.ones(2)
    twice, equal = (describe_definition(_definition(_Two(one, each))) for each in (one, other))
    assert twice != equal


class _Closure(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.step = lambda ids: ids + 1

    def forward(self, ids: Tensor) -> Tensor:
        return self.step(ids)


class _Large(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(1 << 12, 1 << 10))


@pytest.mark.parametrize("module", [_Closure(), _Large()], ids=["closure", "large"])
def test_what_cannot_be_described_is_traced_as_ever(module: nn.Module) -> None:
    definition = _definition(module)
    assert describe_definition(definition) is None
    if isinstance(module, _Closure):
        once = TracedOnce()
        assert once.trace(definition).graph is not once.trace(definition).graph


def test_a_graph_that_is_known_is_the_same_to_the_byte(
    tiny_checkpoint: Callable[..., Path],
) -> None:
    once = TracedOnce()
    pegasus = load(tiny_checkpoint())
    first = ir.serde.serialize_model(once.trace(encoder(pegasus))).SerializeToString()
    unload_pegasus(pegasus)  # as an export does when it has written the weights
    known = once.trace(encoder(load(tiny_checkpoint())))
    assert ir.serde.serialize_model(known).SerializeToString() == first
    known.graph.initializers.clear()  # nobody's changes are seen by the next
    again = once.trace(encoder(load(tiny_checkpoint())))
    assert ir.serde.serialize_model(again).SerializeToString() == first
