"""Log-probabilities and the best of them as one call: see `kernel_functions.py`.

LogSoftmax of [N, V]    LogSoftmaxTopK
TopK of that
"""

import onnx_ir as ir

from pegasus_engines.precision.passes.kernel_functions import add_function, call
from pegasus_engines.precision.passes.take_over import take_over

__all__ = ["call_top_k"]


def call_top_k(model: ir.Model) -> bool:
    """Changes the model in place, says whether there was any."""
    changed = False
    for top in [node for node in model.graph if node.op_type == "TopK"]:
        softmax = _find_softmax(top)
        if softmax is not None:
            _replace(model, softmax, top)
            changed = True
    return changed


def _find_softmax(top: ir.Node) -> ir.Node | None:
    """Of what a TopK chooses from. Nothing where it is not along rows of a matrix, where TopK
    chooses in another order, or where how many is worked out later than the log-probabilities."""
    log_probs, k = top.inputs
    softmax = None if log_probs is None else log_probs.producer()
    if softmax is None or softmax.op_type != "LogSoftmax" or k is None or k.producer() is not None:
        return None
    shape = softmax.outputs[0].shape
    if shape is None or len(shape) != 2:
        return None
    is_along = all(node.attributes.get_int("axis", -1) in (-1, 1) for node in (softmax, top))
    is_descending = all(top.attributes.get_int(name, 1) for name in ("largest", "sorted"))
    return softmax if is_along and is_descending else None


def _replace(model: ir.Model, softmax: ir.Node, top: ir.Node) -> None:
    """Where the LogSoftmax is, as others read the log-probabilities before the TopK."""
    node = call("LogSoftmaxTopK", [softmax.inputs[0], top.inputs[1]], {}, num_outputs=3)
    model.graph.insert_before(softmax, node)
    former = (*softmax.outputs, *top.outputs)
    for value, new in zip(former, node.outputs, strict=True):
        take_over(value, new)
    model.graph.remove([top, softmax], safe=True)
    add_function(model, node)
