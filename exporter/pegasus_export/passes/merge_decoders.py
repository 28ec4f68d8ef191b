"""One graph of two: the decoder's first call and every later one, in the branches of an If.

As `merge_decoders` of optimum-onnx 0.1.0 makes it, by names, order and shapes: its users are
`ORTModelForSeq2SeqLM` and transformers.js. The input `use_cache_branch` chooses; weights belong to
the graph around the branches, so that both read the same ones. What a later call need not hand out
again, the source's keys and values, it hands out empty.
"""

import numpy as np
import onnx_ir as ir

__all__ = ["merge_decoders"]

_NAME = "merged"


def merge_decoders(first: ir.Model, later: ir.Model) -> ir.Model:
    """decoder_model and decoder_with_past_model, left as they are -> decoder_model_merged.

    Their weights are in a file already: what is not stays in its branch.
    """
    models = {"no_past": first.clone(), "with_past": later.clone()}
    around: dict[str, ir.Value] = {}
    inputs: dict[str, ir.Value] = {}
    for model in models.values():
        inputs |= {str(value.name): value for value in _lift_inputs(model.graph, inputs)}
        _lift_weights(model.graph, around)
    branches = {name: model.graph for name, model in models.items()}
    _hand_out_empty(branches["no_past"], branches["with_past"])
    for name, graph in branches.items():
        graph.name = name
    use_cache = ir.Value(
        name="use_cache_branch", shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.BOOL)
    )
    outputs = [_like(value) for value in branches["no_past"].outputs]
    attributes = {"then_branch": branches["with_past"], "else_branch": branches["no_past"]}
    choice = ir.node("If", [use_cache], attributes, outputs=outputs, name="optimum::if")
    graph = ir.Graph(
        [*inputs.values(), use_cache],
        outputs,
        nodes=[choice],
        initializers=list(around.values()),
        opset_imports=later.opset_imports | first.opset_imports,
        name=_NAME,
    )
    return ir.Model(
        graph,
        ir_version=first.ir_version,
        producer_name=first.producer_name,
        producer_version=first.producer_version,
        metadata_props=dict(first.metadata_props),
    )


def _lift_inputs(graph: ir.Graph, known: dict[str, ir.Value]) -> list[ir.Value]:
    """Leaves a branch without inputs of its own; those that are not known yet."""
    lifted = []
    for value in list(graph.inputs):
        around = known.get(str(value.name))
        if around is None:
            around = _like(value)
            lifted.append(around)
        ir.convenience.replace_all_uses_with(value, around)
    graph.inputs.clear()
    return lifted


def _lift_weights(graph: ir.Graph, around: dict[str, ir.Value]) -> None:
    for name, value in list(graph.initializers.items()):
        if isinstance(value.const_value, ir.ExternalTensor):
            if name not in around:
                around[name] = _like(value)
                around[name].const_value = value.const_value
            ir.convenience.replace_all_uses_with(value, around[name])
            del graph.initializers[name]


def _hand_out_empty(first: ir.Graph, later: ir.Graph) -> None:
    """Gives the second branch the outputs of the first, in the same order."""
    own = {str(value.name): value for value in later.outputs}
    outputs = []
    for value in first.outputs:
        if (found := own.get(str(value.name))) is None:
            assert value.shape is not None
            assert value.dtype is not None
            sizes = [size if isinstance(size, int) else 1 for size in value.shape]
            nothing = np.zeros([0, *sizes[1:]], dtype=value.dtype.numpy())
            node = ir.node("Constant", [], {"value": ir.tensor(nothing)}, outputs=[_like(value)])
            later.append(node)
            found = node.outputs[0]
        else:
            found.shape = value.shape
        outputs.append(found)
    later.outputs.clear()
    later.outputs.extend(outputs)


def _like(value: ir.Value) -> ir.Value:
    return ir.Value(name=value.name, shape=value.shape, type=value.type)
