"""What a tracer wrote about a graph's making does not stay in it."""

import onnx_ir as ir

from pegasus_export.passes.clear_metadata import clear_metadata


def _described(described: ir.Graph | ir.Node | ir.Value) -> None:
    described.metadata_props["pkg.torch.onnx.stack_trace"] = "File /home/me/model.py"
    described.doc_string = "made by /home/me"


def _model() -> ir.Model:
    """An If, and a function."""
    choice = ir.Value(name="choice", shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.BOOL))
    weight = ir.Value(name="weight", const_value=ir.tensor([1.0], name="weight"))
    branches = {}
    for name in ("then_branch", "else_branch"):
        inner = ir.node("Identity", [weight])
        branches[name] = ir.Graph([], inner.outputs, nodes=[inner], name=name)
    node = ir.node("If", [choice], branches)
    graph = ir.Graph(
        [choice], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 18}
    )
    operand = ir.Value(name="operand")
    inside = ir.node("Neg", [operand])
    body = ir.Graph([operand], inside.outputs, nodes=[inside], opset_imports={"": 18})
    function = ir.Function("own", "negate", graph=body, attributes=[])
    return ir.Model(graph, ir_version=10, functions=[function])


def test_nothing_that_was_described_stays_so() -> None:
    model = _model()
    described: list[ir.Graph | ir.Node | ir.Value] = [model.graph, *model.graph.inputs]
    described += [model.graph[0], *model.graph[0].outputs, model.graph.initializers["weight"]]
    for attribute in model.graph[0].attributes.values():
        branch = attribute.as_graph()
        described += [branch[0], *branch[0].outputs]
    for function in model.functions.values():
        described += [*function.inputs, function[0], *function[0].outputs]
    for each in described:
        _described(each)
    assert clear_metadata(model)
    assert b"/home/me" not in ir.serde.serialize_model(model).SerializeToString()
    assert not any(each.metadata_props or each.doc_string for each in described)


def test_a_graph_without_any_is_left_as_it_is() -> None:
    assert not clear_metadata(_model())
