"""Makes inputs of the tables that are in several graphs.

The table that embeds the tokens, and is the head too where it is tied, is an input of every graph
that has it: in a device's memory, as on disk, it is there once.
"""

from collections.abc import Mapping

import onnx_ir as ir

from pegasus_engines.network import TOKEN_TABLES

__all__ = ["share_tables"]


def share_tables(models: Mapping[str, ir.Model]) -> bool:
    """Changes the graphs of a bundle in place; says whether any two have a table in common."""
    changed = False
    for name in TOKEN_TABLES:
        users = [model.graph for model in models.values() if name in model.graph.initializers]
        if len(users) < 2:
            continue
        for graph in users:
            value = graph.initializers.pop(name)
            value.const_value = None
            graph.inputs.append(value)
        changed = True
    return changed
