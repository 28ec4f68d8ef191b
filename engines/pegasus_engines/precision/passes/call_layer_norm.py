"""Sums of the residual stream and what normalises them as calls: see `kernel_functions.py`.

    Add, LayerNormalization of the sum    AddLayerNormalization, which gives the sum, too

A sum that several nodes normalise, or that adds other than rows of one shape, as where positions
are added to tokens, stays.
"""

import onnx_ir as ir

from pegasus_engines.precision.passes.kernel_functions import add_function, call
from pegasus_engines.precision.passes.take_over import take_over

__all__ = ["call_layer_norm"]

_NORM = "LayerNormalization"
_EPSILON = 1e-5
"""What ONNX takes where a node says nothing."""


def call_layer_norm(model: ir.Model) -> bool:
    """Changes the model in place, says whether there was any."""
    changed = False
    for norm in [node for node in model.graph if node.op_type == _NORM]:
        add = _find_add(norm)
        if add is not None:
            _replace(model, add, norm)
            changed = True
    return changed


def _replace(model: ir.Model, add: ir.Node, norm: ir.Node) -> None:
    epsilon = norm.attributes.get("epsilon")
    attributes = {"epsilon": _EPSILON if epsilon is None else epsilon.as_float()}
    inputs = [*add.inputs, *norm.inputs[1:]]
    node = call("AddLayerNormalization", inputs, attributes, num_outputs=2)
    model.graph.insert_before(add, node)
    for former, value in zip((add, norm), node.outputs, strict=True):
        take_over(former.outputs[0], value)
    model.graph.remove([norm, add], safe=True)
    add_function(model, node)


def _find_add(norm: ir.Node) -> ir.Node | None:
    """What a LayerNormalization alone normalises, if it is such a sum."""
    total, *weights = norm.inputs
    add = None if total is None else total.producer()
    if add is None or add.op_type != "Add" or add.domain or add.graph is not norm.graph:
        return None
    if sum(use.node.op_type == _NORM for use in add.outputs[0].uses()) != 1:
        return None
    is_it = len(norm.outputs) == 1 and _is_over_last(norm) and _are_rows(*add.inputs)
    return add if is_it and _are_weights(weights, add.inputs[0]) else None


def _is_over_last(norm: ir.Node) -> bool:
    """Of two axes, and in floats."""
    axis, stash = norm.attributes.get("axis"), norm.attributes.get("stash_type")
    return (axis is None or axis.as_int() in (-1, 1)) and (stash is None or stash.as_int() == 1)


def _are_rows(*values: ir.Value | None) -> bool:
    """Whether both are floats [M, D], by what their shapes say. That an unknown M is not 1, nor one
    of two names, is what tracing asserts of whatever it gives a name and adds."""
    x, y = (_shape(value) or [] for value in values)
    if len(x) != 2 or len(y) != 2 or x[1] != y[1] or not isinstance(x[1], int):
        return False
    return (isinstance(x[0], str) and isinstance(y[0], str)) or (x[0] is not None and x[0] == y[0])


def _are_weights(values: list[ir.Value | None], rows: ir.Value | None) -> bool:
    """Whether there are two of [D], which are there before all nodes."""
    shape = _shape(rows)
    return len(values) == 2 and all(
        value is not None and value.is_initializer() and _shape(value) == [*(shape or ())][1:]
        for value in values
    )


def _shape(value: ir.Value | None) -> list[int | str | None] | None:
    """Of floats, where it is known."""
    if value is None or value.shape is None or value.dtype != ir.DataType.FLOAT:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]
