"""Graphs that embed tokens, or decide between them."""

import numpy as np
import onnx_ir as ir

FLOAT = ir.TensorType(ir.DataType.FLOAT)


def graph_with(table: str, *, is_head: bool) -> ir.Model:
    """A graph that looks rows up in a table, or multiplies by it."""
    hidden = ir.Value(name="hidden", type=FLOAT, shape=ir.Shape(("rows", 4)))
    weight = ir.Value(
        name=table,
        type=FLOAT,
        shape=ir.Shape((13, 4)),
        const_value=ir.tensor(np.ones((13, 4), np.float32), name=table),
    )
    if is_head:
        node = ir.node("Gemm", [hidden, weight], {"transB": 1})
        node.outputs[0].shape = ir.Shape(("rows", 13))
    else:
        ids = ir.Value(name="ids", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(("rows",)))
        node = ir.node("Gather", [weight, ids])
        hidden = ids
    node.outputs[0].type = FLOAT
    graph = ir.Graph(
        [hidden],
        [node.outputs[0]],
        nodes=[node],
        initializers=[weight],
        opset_imports={"": 18},
        name="graph",
    )
    return ir.Model(graph, ir_version=9)
