"""Products of rounded rows as calls of Int8Linear: see `kernel_functions.py`.

[Abs] ReduceMax Div QuantizeLinear    a call for each product; what several products read is
MatMulIntegerToFloat or QGemm         rounded by each of them
Mul [Add of a bias] [Relu]
"""

import onnx_ir as ir

from pegasus_engines.precision.passes.kernel_functions import add_function, call
from pegasus_engines.precision.passes.take_over import take_over

__all__ = ["call_int8_linear"]

_PRODUCTS = {"MatMulIntegerToFloat": 1, "QGemm": 3}
"""And where their weights are."""


def call_int8_linear(model: ir.Model) -> bool:
    """Changes the model in place; says whether it had any such product."""
    products = [node for node in model.graph if node.op_type in _PRODUCTS]
    for product in products:
        _replace(model, product)
    if products:
        _drop_unused(model.graph)
    return bool(products)


def _replace(model: ir.Model, product: ir.Node) -> None:
    graph = model.graph
    place = _PRODUCTS[product.op_type]
    weight, scale = product.inputs[place], product.inputs[place + (1 if place == 3 else 2)]
    rounded = _producer(product, 0)
    assert rounded is not None
    divided = _producer(rounded, 0)
    assert divided is not None
    attributes: dict[str, int] = {}
    if _is_positive(rounded):
        attributes["positive"] = 1
    if place == 3:
        attributes["transposed"] = 1
    (scaled,) = (use.node for use in product.outputs[0].uses())
    chain = [product, scaled]
    inputs = [divided.inputs[0], weight, scale]
    following = _only_reader(chain[-1].outputs[0])
    if following is not None and following.op_type == "Add":
        bias = following.inputs[1]
        if bias is not None and _is_bias(bias, scale):
            inputs.append(bias)
            chain.append(following)
            following = _only_reader(following.outputs[0])
    if following is not None and following.op_type == "Relu":
        attributes["rectify"] = 1
        chain.append(following)
    node = call("Int8Linear", inputs, attributes)
    graph.insert_before(chain[-1], node)
    take_over(chain[-1].outputs[0], node.outputs[0])
    graph.remove(list(reversed(chain)), safe=True)
    add_function(model, node)


def _is_bias(value: ir.Value, scale: ir.Value | None) -> bool:
    """Whether it has a number for each output channel, as scales do."""
    assert scale is not None
    return value.is_initializer() and value.shape == scale.shape


def _is_positive(rounded: ir.Node) -> bool:
    """Whether the zero point is zero."""
    zero = rounded.inputs[2]
    assert zero is not None
    assert zero.const_value is not None
    return not zero.const_value.numpy()


def _producer(node: ir.Node, place: int) -> ir.Node | None:
    value = node.inputs[place]
    return None if value is None else value.producer()


def _only_reader(value: ir.Value) -> ir.Node | None:
    uses = value.uses()
    return None if len(uses) != 1 or value.is_graph_output() else next(iter(uses)).node


def _drop_unused(graph: ir.Graph) -> None:
    """What rounded rows before, and the steps that it did so by."""
    for node in reversed(list(graph)):
        if not any(out.uses() or out.is_graph_output() for out in node.outputs):
            graph.remove(node, safe=True)
    for name, value in list(graph.initializers.items()):
        if not value.uses() and not value.is_graph_output():
            del graph.initializers[name]
