"""Graphs as they were traced, with their residual stream shifted: the same function, bit by bit."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from pegasus_engines.network import is_norm
from pegasus_engines.precision.passes.residual_stream import find_stream
from pegasus_engines.precision.passes.shift_residual import shift_residual
from pegasus_engines.precision.residual_shift import ResidualShift
from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.graphs.definition import GraphDefinition
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.bundle_kinds import find_kind
from pegasus_export.stages.graph_files import network_weights
from pegasus_export.stages.trace import trace_graph

CASES = [
    ("PegasusForConditionalGeneration", "trt"),
    ("PegasusForCausalLM", "onnx"),
    ("BigBirdPegasusForQuestionAnswering", "onnx"),  # both stacks in one graph
    ("PegasusXForConditionalGeneration", "trt"),
]
RNG = np.random.default_rng(0)
Feeds = Mapping[str, np.ndarray]
Traced = Mapping[str, tuple[GraphDefinition, ir.Model]]


@pytest.fixture(scope="module")
def traced(tiny_pegasus: Callable[[str], Pegasus]) -> Callable[[str, str], Traced]:
    """(architecture, target) -> its graphs; read only."""

    @cache
    def trace(architecture: str, target: str) -> Traced:
        task = ARCHITECTURES[architecture].tasks[0]
        kind = find_kind(target, task, "fp16", num_beams=4)  # type: ignore[arg-type]
        definitions = kind.graphs(tiny_pegasus(architecture))
        return {each.name: (each, trace_graph(each)) for each in definitions}

    return trace


def inputs_of(definition: GraphDefinition, vocab_size: int) -> Feeds:
    """Random, of the sizes of the examples."""
    feeds = {}
    for each in definition.inputs():
        example = each.example.numpy()
        if example.dtype == np.float32:
            feeds[each.name] = RNG.standard_normal(example.shape, dtype=np.float32)
        elif each.name.endswith("input_ids"):
            feeds[each.name] = RNG.integers(106, vocab_size, example.shape)
        else:
            feeds[each.name] = example
    return feeds


def run(model: ir.Model, weights: Feeds, feeds: Feeds, folder: Path) -> list[np.ndarray]:
    """The outputs, and whatever a LayerNorm reads."""
    for name, value in model.graph.initializers.items():
        if name in weights:
            value.const_value = ir.tensor(weights[name], name=name)
    stream = list(dict.fromkeys(norm.inputs[0] for norm in find_stream(model.graph).norms))
    model.graph.outputs.extend(value for value in stream if value is not None)
    ir.save(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    taken = {x.name for x in session.get_inputs()}
    return session.run(None, {name: feeds[name] for name in taken})


@pytest.mark.parametrize(("architecture", "target"), CASES)
def test_outputs_are_the_same_and_the_stream_is_smaller(
    traced: Callable[[str, str], Traced],
    tiny_pegasus: Callable[[str], Pegasus],
    tmp_path: Path,
    architecture: str,
    target: str,
) -> None:
    pegasus, shift = tiny_pegasus(architecture), ResidualShift(bits=7)
    weights = network_weights(pegasus)
    scaled = {name: shift.scale_weight(name, array) for name, array in weights.items()}
    for definition, model in traced(architecture, target).values():
        feeds = inputs_of(definition, pegasus.config.vocab_size)
        shifted = model.clone()
        assert shift_residual(shifted, shift)
        expected = run(model.clone(), weights, feeds, tmp_path)
        got = run(shifted, scaled, feeds, tmp_path)
        count = len(definition.outputs)
        for each, exact in zip(got[:count], expected[:count], strict=True):
            np.testing.assert_array_equal(each, exact)
        for each, exact in zip(got[count:], expected[count:], strict=True):
            np.testing.assert_array_equal(each * 2**7, exact)


@pytest.mark.parametrize(("architecture", "target"), CASES)
def test_every_layer_norm_of_the_network_is_in_a_graph(
    traced: Callable[[str, str], Traced],
    tiny_pegasus: Callable[[str], Pegasus],
    architecture: str,
    target: str,
) -> None:
    found = [find_stream(model.graph) for _, model in traced(architecture, target).values()]
    names = {
        str(norm.inputs[1].name) for stream in found for norm in stream.norms if norm.inputs[1]
    }
    assert names == set(filter(is_norm, network_weights(tiny_pegasus(architecture))))
    assert all(stream.lookups for stream in found)
