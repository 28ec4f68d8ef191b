"""Functions where they are called, but for those of plugins."""

import onnx_ir as ir
import pytest

from pegasus_engines.precision.passes.inline_functions import inline_functions
from pegasus_plugins.specification import NAMESPACE

FLOAT = ir.TensorType(ir.DataType.FLOAT)


def calling_model(*domains: str) -> ir.Model:
    """x -> Negate(x) of each domain."""
    x = ir.Value(name="x", type=FLOAT, shape=ir.Shape(("rows",)))
    calls = [ir.node("Negate", [x], domain=domain, name=f"call.{domain}") for domain in domains]
    functions = []
    for call in calls:
        call.outputs[0].name, call.outputs[0].type = f"y.{call.domain}", FLOAT
        given = ir.Value(name="given")
        negative = ir.node("Neg", [given], name="neg")
        negative.outputs[0].name = "negative"
        body = ir.Graph([given], negative.outputs, nodes=[negative], opset_imports={"": 18})
        functions.append(ir.Function(call.domain, "Negate", graph=body, attributes=[]))
    opsets = {"": 18, **dict.fromkeys(domains, 1)}
    outputs = [call.outputs[0] for call in calls]
    graph = ir.Graph([x], outputs, nodes=calls, opset_imports=opsets, name="calls")
    return ir.Model(graph, ir_version=10, functions=functions)


@pytest.mark.parametrize("domains", [("ours",), ("ours", NAMESPACE)])
def test_a_body_comes_in_the_place_of_its_call(domains: tuple[str, ...]) -> None:
    model = calling_model(*domains)
    assert inline_functions(model)
    left = [(NAMESPACE, "Negate")] if NAMESPACE in domains else []
    assert [(each.domain, each.name) for each in model.functions.values()] == left
    assert [(node.domain, node.op_type) for node in model.graph] == [("", "Neg"), *left]
    assert model.graph.outputs[0].dtype == ir.DataType.FLOAT


@pytest.mark.parametrize("domains", [(), (NAMESPACE,)])
def test_what_a_plugin_computes_stays_a_function(domains: tuple[str, ...]) -> None:
    model = calling_model(*domains)
    assert not inline_functions(model)
    assert len(model.functions) == len(domains)
    assert [node.op_type for node in model.graph] == ["Negate"] * len(domains)
