"""Defines, inside a model, the function that its encoder's attention nodes call.

The body is an If: full attention up to a number of tokens, block-sparse attention above; there, a
second one spares a source of whole blocks the padding. So one encoder serves all lengths, its
weights are loaded and packed once, and whatever runs the graph (Optimum, for one) need not know.
ONNX Runtime inlines the function when it loads the model.
"""

from collections.abc import Callable

import onnx_ir as ir

from pegasus_export.dialects.block_sparse import FUNCTION_DOMAIN, FUNCTION_NAME
from pegasus_export.dialects.block_sparse_nodes import (
    AttentionInputs,
    attend_block_sparse,
    attend_blocks,
)
from pegasus_export.dialects.nodes import Nodes
from pegasus_export.graphs.definition import SparseAttention

__all__ = ["define_sparse_attention"]


def define_sparse_attention(model: ir.Model, attention: SparseAttention) -> bool:
    """Adds the function to the model, in place; False where no node of the model calls it.

    Its inputs are query, key, value [B, S, D], attention_mask [B, S], and the table [H, M, r] of a
    seeded pattern; its output is [B, S, D].
    """
    if not any(_is_call(node) for node in model.graph):
        return False
    opset = model.opset_imports[""]
    names = ["query", "key", "value", "attention_mask", "random_blocks"]
    if attention.pattern.random_blocks is None:
        names.remove("random_blocks")
    values = {name: ir.Value(name=name) for name in names}
    inputs = AttentionInputs(
        query=values["query"],
        key=values["key"],
        value=values["value"],
        attention_mask=values["attention_mask"],
        random_blocks=values.get("random_blocks"),
    )

    heads, pattern, dialect = attention.heads, attention.pattern, attention.nodes

    def branch(name: str, attend: Callable[[Nodes], ir.Value]) -> ir.Graph:
        nodes = Nodes()
        return nodes.graph(name, [], [attend(nodes)], opset)

    def choose(nodes: Nodes, is_met: ir.Value, branches: tuple[ir.Graph, ir.Graph]) -> ir.Value:
        return nodes("If", is_met, then_branch=branches[0], else_branch=branches[1])

    def attend_sparse(nodes: Nodes) -> ir.Value:
        last = nodes("Mod", nodes("Shape", inputs.query, start=1, end=2), [pattern.block_size])
        arguments = inputs, heads, pattern, dialect
        whole = branch("whole_blocks", lambda nodes: attend_blocks(nodes, *arguments))
        padded = branch("padded", lambda nodes: attend_block_sparse(nodes, *arguments))
        return choose(nodes, nodes("Equal", last, [0]), (whole, padded))

    sparse = branch("block_sparse", attend_sparse)
    full = branch("full", lambda nodes: dialect.attend_full(nodes, inputs, heads))
    nodes = Nodes()
    length = nodes("Shape", inputs.query, start=1, end=2)
    is_long = nodes("Greater", length, [pattern.longest_full])
    attended = choose(nodes, is_long, (sparse, full))
    graph = nodes.graph(FUNCTION_NAME, list(values.values()), [attended], opset)
    _name_values(graph)
    function = ir.Function(FUNCTION_DOMAIN, FUNCTION_NAME, graph=graph, attributes=[])
    model.functions[function.identifier()] = function
    for domain, version in {**graph.opset_imports, FUNCTION_DOMAIN: 1}.items():
        model.opset_imports.setdefault(domain, version)
    return True


def _is_call(node: ir.Node) -> bool:
    return (node.domain, node.op_type) == (FUNCTION_DOMAIN, FUNCTION_NAME)


def _name_values(graph: ir.Graph, prefix: str = "") -> None:
    """Gives every value a name of its own: those of a branch share a scope with the outer ones."""
    for number, node in enumerate(graph):
        for value in node.outputs:
            value.name = f"{prefix}{node.op_type}.{number}"
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                branch = attribute.as_graph()
                _name_values(branch, f"{prefix}{branch.name}.")
