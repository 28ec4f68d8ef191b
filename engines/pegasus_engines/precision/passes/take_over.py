"""One value in the place of another, whatever reads it."""

import onnx_ir as ir

__all__ = ["take_over"]


def take_over(former: ir.Value, new: ir.Value) -> None:
    """Lets a value be what another was: shape, type, name, readers, and output of the graph.

    The other's node, which nobody reads any more, is still to be removed.
    """
    new.shape, new.type, name = former.shape, former.type, former.name
    ir.convenience.replace_all_uses_with(former, new, replace_graph_outputs=True)
    former.name = None  # no two values of a graph are called the same
    new.name = name
