"""Lets the head add the final bias, so that scores have the padded vocabulary."""

import onnx_ir as ir

from pegasus_engines.network import FINAL_BIAS, TOKEN_TABLES

__all__ = ["add_final_bias"]


def add_final_bias(model: ir.Model, bias: ir.ExternalTensor) -> bool:
    """Changes the graph in place; says whether it has a head: a product whose matrix is a table."""
    graph = model.graph
    for name in TOKEN_TABLES:
        table = graph.initializers.get(name)
        for usage in table.uses() if table is not None else ():
            if usage.node.op_type == "Gemm":
                _add_bias(graph, usage.node, bias)
                return True
    return False


def _add_bias(graph: ir.Graph, head: ir.Node, bias: ir.ExternalTensor) -> None:
    if FINAL_BIAS not in graph.initializers:
        graph.register_initializer(ir.Value(name=FINAL_BIAS, const_value=bias))
    value = graph.initializers[FINAL_BIAS]
    vocab_size = head.outputs[0].shape[-1] if head.outputs[0].shape is not None else None
    value.const_value, value.type = bias, ir.TensorType(bias.dtype)
    value.shape = ir.Shape(bias.shape.numpy())
    if len(head.inputs) < 3:
        head.resize_inputs(3)
    head.replace_input_with(2, value)
    for node in graph:
        for output in node.outputs:
            if output.shape is not None and vocab_size in list(output.shape)[-1:]:
                output.shape = ir.Shape([*list(output.shape)[:-1], bias.shape.numpy()[0]])
