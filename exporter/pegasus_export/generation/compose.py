"""Encoder, decoder step and beam search into one graph, with the steps in a Loop."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from pegasus_engines.precision.passes.inline_functions import inline_functions
from pegasus_export.dialects.nodes import Nodes, name_values
from pegasus_export.generation.fixed import FixedSettings
from pegasus_export.generation.inputs import SearchInputs, check_inputs, make_inputs
from pegasus_export.generation.parts import ENCODER, SHARED_ENCODER, STEP
from pegasus_export.generation.scores import rank_tokens
from pegasus_export.generation.search import (
    Outputs,
    SearchState,
    empty_state,
    extend_rows,
    first_state,
    read_out,
)

__all__ = ["GENERATE", "compose_generation"]

GENERATE = "generate"
_END = np.iinfo(np.int64).max


def compose_generation(models: dict[str, ir.Model], fixed: FixedSettings) -> dict[str, ir.Model]:
    """Puts the whole in the place of its parts, which it takes apart."""
    others = {name: model for name, model in models.items() if name not in (ENCODER, STEP)}
    encoder = models.get(ENCODER) or _in_full(others[SHARED_ENCODER])
    return {**others, GENERATE: _compose(encoder, models[STEP], fixed)}


def _in_full(shared: ir.Model) -> ir.Model:
    """A copy without calls: a kernel that keeps the source in halves would not be read by the step,
    which is in stock operators."""
    encoder = shared.clone()
    if inline_functions(encoder):
        for node in encoder.graph:
            node.name = None  # what was inlined is called as other nodes are
    return encoder


def _compose(encoder: ir.Model, step: ir.Model, fixed: FixedSettings) -> ir.Model:
    before, after, scalars = Nodes(), Nodes(), make_inputs()
    input_ids, given_mask = encoder.graph.inputs
    mask_input = ir.Value(name=given_mask.name, shape=given_mask.shape, type=given_mask.type)
    inputs, mask = check_inputs(before, scalars, input_ids, mask_input, fixed)
    ir.convenience.replace_all_uses_with(given_mask, mask)
    found = _search(after, encoder.graph.outputs, step, mask, inputs, fixed)
    nodes = [*before.nodes, *_released(encoder.graph), *after.nodes]
    initializers = _joined_initializers(encoder.graph, step.graph)
    graph = ir.Graph(
        [input_ids, mask_input, *scalars.values()],
        _named_outputs(found),
        nodes=nodes,
        initializers=initializers,
        opset_imports=encoder.graph.opset_imports | step.graph.opset_imports,
        name=GENERATE,
    )
    _name(graph)
    functions = [*encoder.functions.values()]
    version = max(encoder.ir_version, step.ir_version)
    return ir.Model(graph, ir_version=version, functions=functions)


def _search(
    nodes: Nodes,
    cross: Sequence[ir.Value],
    step: ir.Model,
    mask: ir.Value,
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> Outputs:
    """The Loop, what it begins with, and what is read out of its last states."""
    batch = nodes("Shape", mask, start=0, end=1)
    states = first_state(nodes, batch, inputs, fixed).values()
    caches = [value for value in step.graph.inputs if str(value.name).startswith("past_")]
    rows = nodes("Mul", batch, inputs.num_beams)
    for cache in caches:
        assert cache.shape is not None
        sizes = [int(str(cache.shape[axis])) for axis in (1, 3)]
        shape = nodes("Concat", rows, [sizes[0]], [0], [sizes[1]], axis=0)
        states.append(nodes("ConstantOfShape", shape))
    body = _body(step, [mask, *cross], caches, inputs, fixed)
    most = nodes("Squeeze", nodes("Sub", inputs.max_length, [1]))
    last = nodes.several("Loop", most, np.array(True), *states, count=len(states), body=body)
    num_own = len(states) - len(caches)
    return read_out(nodes, SearchState.of(last[:num_own]), inputs, fixed)


def _body(
    step: ir.Model,
    source: Sequence[ir.Value],
    caches: Sequence[ir.Value],
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> ir.Graph:
    """One step. source: mask, cross keys and cross values, which the Loop does not carry."""
    number = _value("step", ir.DataType.INT64, 0)
    goes_on = _value("goes_on", ir.DataType.BOOL, 0)
    state = empty_state()
    before, after = Nodes(), Nodes()
    position = before("Reshape", number, [1])
    length = before("Add", position, [1])
    tokens = before("Slice", state.sequences, [-1], [_END], [1])
    given = [tokens, position, *source]
    for old, new in zip(step.graph.inputs, given, strict=False):
        ir.convenience.replace_all_uses_with(old, new)
    logits, *present = step.graph.outputs
    candidates = rank_tokens(after, logits, state.sequences, length, inputs, fixed)
    extended = extend_rows(after, state, candidates, length, inputs, fixed)
    kept = [after("Gather", keys, extended.rows, axis=0) for keys in present]
    carried = [*state.values(), *caches]
    returned = [*extended.state.values(), *kept]
    for old, new in zip(carried, returned, strict=True):
        new.type, new.shape = old.type, ir.Shape([None] * len(old.shape or ()))
    extended.goes_on.type, extended.goes_on.shape = goes_on.type, goes_on.shape
    nodes = [*before.nodes, *_released(step.graph), *after.nodes]
    return ir.Graph(
        [number, goes_on, *carried],
        [extended.goes_on, *returned],
        nodes=nodes,
        opset_imports=step.graph.opset_imports,
        name="steps",
    )


def _released(graph: ir.Graph) -> list[ir.Node]:
    """The graph's nodes, which another may have now."""
    nodes = list(graph)
    graph.inputs.clear()
    graph.outputs.clear()
    graph.remove(nodes)
    return nodes


def _joined_initializers(first: ir.Graph, second: ir.Graph) -> list[ir.Value]:
    """Those of both; of stored weights each is there once, constants are of either alone."""
    joined, others = dict(first.initializers), dict(second.initializers)
    first.initializers.clear()
    second.initializers.clear()
    for name, value in others.items():
        known = joined.get(name)
        if known is not None and known.const_value is value.const_value:
            ir.convenience.replace_all_uses_with(value, known)
            continue
        value.name = f"{second.name}.{name}" if known is not None else name
        joined[value.name] = value
    return list(joined.values())


def _value(name: str, dtype: ir.DataType, rank: int) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape([None] * rank))


def _named_outputs(found: Outputs) -> list[ir.Value]:
    int64, float32 = ir.DataType.INT64, ir.DataType.FLOAT
    outputs = {
        "sequences": (found.sequences, int64, ("batch", "returned", "target")),
        "lengths": (found.lengths, int64, ("batch", "returned")),
        "scores": (found.scores, float32, ("batch", "returned")),
    }
    for value, dtype, shape in outputs.values():
        value.type, value.shape = ir.TensorType(dtype), ir.Shape(shape)
    return [value for value, _, _ in outputs.values()]


def _name(graph: ir.Graph) -> None:
    """Names for all that is computed, as those of two graphs have come together."""
    name_values(graph)
    for node in graph:
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                body = attribute.as_graph()
                for value in body.inputs:
                    value.name = f"{body.name}.{value.name}"
    for value, name in zip(graph.outputs, ("sequences", "lengths", "scores"), strict=True):
        value.name = name
