"""Defines, inside a model, the function that its encoder's attention nodes call.

The body takes any length (`attend_any_length`), so that one encoder serves all of them, its weights
are loaded and packed once, and whatever runs the graph (Optimum, for one) need not know.
ONNX Runtime inlines the function when it loads the model. Where the blocks that are seen are inputs
(TensorRT's graphs), they also say what full attention is, and the body has no If.
"""

from collections.abc import Mapping

import onnx_ir as ir

from pegasus_export.dialects.block_sparse import (
    FUNCTION_DOMAIN,
    FUNCTION_NAME,
    FUNCTION_VERSION,
)
from pegasus_export.dialects.block_sparse_nodes import (
    AttentionInputs,
    GivenPattern,
    attend_any_length,
    attend_blocks,
)
from pegasus_export.dialects.nodes import Nodes, name_values
from pegasus_export.graphs.definition import SparseAttention

__all__ = ["define_sparse_attention"]


def define_sparse_attention(model: ir.Model, attention: SparseAttention) -> bool:
    """Adds the function to the model, in place; False where no node of the model calls it.

    Its inputs are query, key, value [B, S, D] and attention_mask [B, S]; seen_blocks and seen_bias
    [M, K] where they are given; of a seeded pattern last_random [1], if it is given, and the table
    [H, M, r]. Its output is [B, S, D].
    """
    calls = [node for node in model.graph if _is_call(node)]
    if not calls:
        return False
    numbers = _numbers(attention)
    for node in calls:
        for name, number in numbers.items():
            node.attributes[name] = ir.AttrInt64(name, number)
    opset = model.opset_imports[""]
    values = {name: ir.Value(name=name) for name in _input_names(attention)}
    inputs = _attention_inputs(values)
    heads, pattern, dialect = attention.heads, attention.pattern, attention.nodes

    nodes = Nodes()
    if attention.form == "given":
        attended = attend_blocks(nodes, inputs, heads, pattern, dialect)
    else:
        attended = attend_any_length(nodes, inputs, heads, pattern, dialect, opset)
    graph = nodes.graph(FUNCTION_NAME, list(values.values()), [attended], opset)
    name_values(graph)
    function = ir.Function(
        FUNCTION_DOMAIN,
        FUNCTION_NAME,
        graph=graph,
        attributes=[ir.Attr(name, ir.AttributeType.INT, None) for name in numbers],
    )
    model.functions[function.identifier()] = function
    for domain, version in {**graph.opset_imports, FUNCTION_DOMAIN: FUNCTION_VERSION}.items():
        model.opset_imports.setdefault(domain, version)
    return True


def _numbers(attention: SparseAttention) -> dict[str, int]:
    """What a kernel that stands in for the function has to know: the body was written for it.

    None where blocks are given: kernels find them from the length.
    """
    if attention.form == "given":
        return {}
    return {
        "num_heads": attention.heads.count,
        "block_size": attention.pattern.block_size,
        "num_random_blocks": attention.pattern.num_random_blocks,
        "longest_full": attention.pattern.longest_full,
    }


def _input_names(attention: SparseAttention) -> list[str]:
    names = ["query", "key", "value", "attention_mask"]
    names += ["seen_blocks", "seen_bias"] if attention.form == "given" else []
    if attention.pattern.random_blocks is None:
        return names
    return [*names, *(["last_random"] if attention.form == "given" else []), "random_blocks"]


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
