"""Defines, inside a model, the function that its encoder's attention nodes call.

The body is an If: full attention up to a number of tokens, block-sparse attention above; there, a
second one spares a source of whole blocks the padding. So one encoder serves all lengths, its
weights are loaded and packed once, and whatever runs the graph (Optimum, for one) need not know.
ONNX Runtime inlines the function when it loads the model. Where the blocks that are seen are inputs
(TensorRT's graphs), they also say what full attention is, and the body has no If.
"""

from collections.abc import Callable, Mapping

import onnx_ir as ir

from pegasus_export.dialects.block_sparse import FUNCTION_DOMAIN, FUNCTION_NAME
from pegasus_export.dialects.block_sparse_nodes import (
    AttentionInputs,
    GivenPattern,
    attend_block_sparse,
    attend_blocks,
)
from pegasus_export.dialects.nodes import Nodes
from pegasus_export.graphs.definition import SparseAttention

__all__ = ["define_sparse_attention"]


def define_sparse_attention(model: ir.Model, attention: SparseAttention) -> bool:
    """Adds the function to the model, in place; False where no node of the model calls it.

    Its inputs are query, key, value [B, S, D] and attention_mask [B, S]; seen_blocks and seen_bias
    [M, K] where they are given; of a seeded pattern last_random [1], if it is given, and the table
    [H, M, r]. Its output is [B, S, D].
    """
    if not any(_is_call(node) for node in model.graph):
        return False
    opset = model.opset_imports[""]
    values = {name: ir.Value(name=name) for name in _input_names(attention)}
    inputs = _attention_inputs(values)
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

    def attend_any_length(nodes: Nodes) -> ir.Value:
        sparse = branch("block_sparse", attend_sparse)
        full = branch("full", lambda nodes: dialect.attend_full(nodes, inputs, heads))
        length = nodes("Shape", inputs.query, start=1, end=2)
        is_long = nodes("Greater", length, [pattern.longest_full])
        return choose(nodes, is_long, (sparse, full))

    nodes = Nodes()
    if attention.is_given:
        attended = attend_blocks(nodes, inputs, heads, pattern, dialect)
    else:
        attended = attend_any_length(nodes)
    graph = nodes.graph(FUNCTION_NAME, list(values.values()), [attended], opset)
    _name_values(graph)
    function = ir.Function(FUNCTION_DOMAIN, FUNCTION_NAME, graph=graph, attributes=[])
    model.functions[function.identifier()] = function
    for domain, version in {**graph.opset_imports, FUNCTION_DOMAIN: 1}.items():
        model.opset_imports.setdefault(domain, version)
    return True


def _input_names(attention: SparseAttention) -> list[str]:
    names = ["query", "key", "value", "attention_mask"]
    names += ["seen_blocks", "seen_bias"] if attention.is_given else []
    if attention.pattern.random_blocks is None:
        return names
    return [*names, *(["last_random"] if attention.is_given else []), "random_blocks"]


def _attention_inputs(values: Mapping[str, ir.Value]) -> AttentionInputs:
    given = None
    if "seen_blocks" in values:
        given = GivenPattern(
            blocks=values["seen_blocks"],
            bias=values["seen_bias"],
            last_random=values.get("last_random"),
        )
    return AttentionInputs(
        query=values["query"],
        key=values["key"],
        value=values["value"],
        attention_mask=values["attention_mask"],
        random_blocks=values.get("random_blocks"),
        given=given,
    )


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
