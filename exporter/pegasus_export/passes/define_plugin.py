"""Gives the node that TensorRT's plugin computes a body, so that others run the same file.

The body computes in float32 whatever the node is given, as the plugin accumulates. TensorRT would
take the body in place of the plugin: `pegasus_engines.plans.plugin_bodies` drops it for the build.
"""

import onnx_ir as ir

from pegasus_export.dialects.block_sparse_nodes import (
    AttentionInputs,
    attend_any_length,
)
from pegasus_export.dialects.nodes import Nodes, name_values
from pegasus_export.graphs.definition import SparseAttention
from pegasus_plugins.specification import NAME, NAMESPACE, VERSION

__all__ = ["define_plugin"]

_ATTRIBUTES = {
    "num_heads": ir.AttributeType.INT,
    "block_size": ir.AttributeType.INT,
    "num_random_blocks": ir.AttributeType.INT,
    "longest_full": ir.AttributeType.INT,
    "scale": ir.AttributeType.FLOAT,
    "plugin_namespace": ir.AttributeType.STRING,
    "plugin_version": ir.AttributeType.STRING,
}


def define_plugin(model: ir.Model, attention: SparseAttention) -> bool:
    """Adds the function to the model, in place; False where no node of the model calls it.

    Its inputs are query, key, value [B, H, S, Dh], key_mask [B, S] int32, and of a seeded pattern
    plan [L', r] int32; its output is [B, H, S, Dh], of query's type. The body is for the attributes
    that every call in the model has; they are declared, and not read.
    """
    if not any((node.domain, node.op_type) == (NAMESPACE, NAME) for node in model.graph):
        return False
    opset = model.opset_imports[""]
    names = ["query", "key", "value", "key_mask"]
    names += [] if attention.pattern.random_blocks is None else ["plan"]
    values = {name: ir.Value(name=name) for name in names}
    nodes = Nodes()
    attended = _attend_heads(nodes, values, attention, opset)
    graph = nodes.graph(NAME, list(values.values()), [attended], opset)
    name_values(graph)
    attributes = [ir.Attr(name, kind, None) for name, kind in _ATTRIBUTES.items()]
    function = ir.Function(NAMESPACE, NAME, graph=graph, attributes=attributes)
    model.functions[function.identifier()] = function
    for domain, version in {**graph.opset_imports, NAMESPACE: int(VERSION)}.items():
        model.opset_imports.setdefault(domain, version)
    return True


def _attend_heads(
    nodes: Nodes, values: dict[str, ir.Value], attention: SparseAttention, opset: int
) -> ir.Value:
    heads, pattern = attention.heads, attention.pattern
    single = ir.DataType.FLOAT.value

    def merge(name: str) -> ir.Value:
        hidden = nodes("Transpose", nodes("Cast", values[name], to=single), perm=[0, 2, 1, 3])
        return nodes("Reshape", hidden, [0, 0, heads.count * heads.dim])  # [B, S, D]

    table = None
    if pattern.random_blocks is not None:
        columns = pattern.random_blocks.shape[2]
        rows = nodes("Reshape", values["plan"], [heads.count, -1, columns])
        table = nodes("Cast", rows, to=ir.DataType.INT64.value)
    inputs = AttentionInputs(
        query=merge("query"),
        key=merge("key"),
        value=merge("value"),
        attention_mask=nodes("Cast", values["key_mask"], to=ir.DataType.INT64.value),
        random_blocks=table,
    )
    attended = attend_any_length(nodes, inputs, heads, pattern, attention.nodes, opset)
    tokens = nodes("Cast", values["key_mask"], to=single)
    attended = nodes("Mul", attended, nodes("Unsqueeze", tokens, [2]))  # 0 for padding, always
    split = nodes("Reshape", attended, [0, 0, heads.count, heads.dim])
    return nodes("CastLike", nodes("Transpose", split, perm=[0, 2, 1, 3]), values["query"])
