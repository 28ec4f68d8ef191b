"""Takes out of a graph what the tracer wrote about its making: sources, lines and scopes.

It is two thirds of a graph's file, tells the paths of the machine that it was made on, and differs
from graph to graph at values that are the same, which Optimum's `merge_decoders` refuses.
"""

from collections.abc import Iterable

import onnx_ir as ir

__all__ = ["clear_metadata"]


def clear_metadata(model: ir.Model) -> bool:
    """Changes the model in place, with its functions and subgraphs; says whether any was there."""
    found = _clear([model.graph, *model.graph.inputs, *model.graph.initializers.values()])
    bodies: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for body in bodies:
        found |= _clear(body.inputs)
        for node in ir.traversal.RecursiveGraphIterator(body):
            found |= _clear([node, *node.outputs])
    return found


def _clear(described: Iterable[ir.Graph | ir.Node | ir.Value]) -> bool:
    found = False
    for each in described:
        found |= bool(each.metadata_props or each.doc_string)
        each.metadata_props.clear()
        each.doc_string = None
    return found
