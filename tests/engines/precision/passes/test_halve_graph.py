"""fp32 graphs to fp16: what changes its type, and what does not."""

import numpy as np
import onnx_ir as ir

from pegasus_engines.precision.passes.halve_graph import halve_graph
from pegasus_plugins.specification import NAMESPACE

FLOAT, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def value(name: str, dtype: ir.DataType = FLOAT, shape: tuple[int | str, ...] = (2, 4)) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))


def small_model() -> ir.Model:
    """A product, a mask that stands for minus infinity, a log-softmax, and what follows it."""
    x, mask = value("x"), value("mask", ir.DataType.INT64)
    weight = ir.Value(
        name="weight",
        type=ir.TensorType(FLOAT),
        shape=ir.Shape((4, 4)),
        const_value=ir.tensor(np.eye(4, dtype=np.float32), name="weight"),
    )
    lowest = ir.node("Constant", [], {"value": ir.tensor(np.float32(-3.4e38))})
    product = ir.node("MatMul", [x, weight])
    floats = ir.node("Cast", [mask], {"to": FLOAT})
    bias = ir.node("Mul", [floats.outputs[0], lowest.outputs[0]])
    logits = ir.node("Add", [product.outputs[0], bias.outputs[0]])
    log_probs = ir.node("LogSoftmax", [logits.outputs[0]], {"axis": -1})
    normalizer = ir.node("Sub", [logits.outputs[0], log_probs.outputs[0]])
    nodes = [lowest, product, floats, bias, logits, log_probs, normalizer]
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}.{number}"
        output = node.outputs[0]
        output.name, output.type, output.shape = f"v{number}", ir.TensorType(FLOAT), x.shape
    graph = ir.Graph(
        [x, mask],
        [product.outputs[0], log_probs.outputs[0], normalizer.outputs[0]],
        nodes=nodes,
        initializers=[weight],
        opset_imports={"": 18},
        name="small",
    )
    return ir.Model(graph, ir_version=9)


def test_everything_becomes_half_but_log_probabilities() -> None:
    model = small_model()
    assert halve_graph(model)
    graph = model.graph
    assert graph.inputs[0].dtype == HALF
    assert graph.inputs[1].dtype == ir.DataType.INT64
    assert graph.initializers["weight"].const_value.dtype == HALF
    assert [output.dtype for output in graph.outputs] == [HALF, FLOAT, FLOAT]
    casts = [node.attributes["to"].as_int() for node in graph if node.op_type == "Cast"]
    assert casts.count(HALF) == 1  # the mask
    assert casts.count(FLOAT) == 2  # the logits, once for each that reads them in float32


def test_minus_infinity_becomes_the_lowest_half() -> None:
    model = small_model()
    halve_graph(model)
    constant = next(node for node in model.graph if node.op_type == "Constant")
    assert constant.attributes["value"].as_tensor().numpy() == np.float16(-65504)


def test_a_graph_without_floats_is_left_alone() -> None:
    x = value("x", ir.DataType.INT64)
    node = ir.node("Neg", [x])
    node.outputs[0].type = x.type
    graph = ir.Graph([x], [node.outputs[0]], nodes=[node], opset_imports={"": 18}, name="whole")
    assert not halve_graph(ir.Model(graph, ir_version=9))


def test_functions_become_half_but_what_a_plugin_computes() -> None:
    for domain, expected in (("pegasus_edge", HALF), (NAMESPACE, FLOAT)):
        model = small_model()
        constant = ir.node("Constant", [], {"value": ir.tensor(np.float32(2))})
        body = ir.Graph([], constant.outputs, nodes=[constant], opset_imports={"": 18})
        function = ir.Function(domain, "Two", graph=body, attributes=[])
        model.functions[function.identifier()] = function
        assert halve_graph(model)
        assert constant.attributes["value"].as_tensor().dtype == expected
