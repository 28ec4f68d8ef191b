"""What reads and writes the residual stream is found, or refused."""

from collections.abc import Callable

import onnx_ir as ir
import pytest

from engines.precision.products import graph_input
from engines.precision.stream_graphs import FC2, FIRST, LAST, TABLE, stream_model
from pegasus_engines.precision.passes.residual_stream import find_stream


def nodes_of(model: ir.Model, operator: str) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == operator]


@pytest.mark.parametrize("factor", [None, 3.0])
def test_layer_norms_and_embedded_tokens_are_found(factor: float | None) -> None:
    model = stream_model(factor)
    stream = find_stream(model.graph)
    assert list(stream.norms) == nodes_of(model, "LayerNormalization")
    (lookup,) = stream.lookups
    assert lookup.gather is nodes_of(model, "Gather")[0]
    assert lookup.factor == (factor or 1)
    assert (lookup.product is None) == (factor is None)


def test_a_stream_may_be_reshaped() -> None:
    model = stream_model()
    first = nodes_of(model, "LayerNormalization")[0]
    shape = ir.node("Constant", [], {"value_ints": [-1, 8]})
    reshape = ir.node("Reshape", [first.inputs[0], shape.outputs[0]])
    model.graph.insert_before(first, [shape, reshape])
    first.replace_input_with(0, reshape.outputs[0])
    assert len(find_stream(model.graph).lookups) == 1


def test_a_stream_may_be_parted_and_joined() -> None:
    """As in PEGASUS-X, whose global tokens have a LayerNorm of their own."""
    model = stream_model()
    first = nodes_of(model, "LayerNormalization")[0]
    numbers = [ir.node("Constant", [], {"value_ints": [n]}) for n in (0, 2, 2**62)]
    zero, two, end = (node.outputs[0] for node in numbers)
    parts = [ir.node("Slice", [first.inputs[0], *ends, zero]) for ends in ((zero, two), (two, end))]
    joined = ir.node("Concat", [part.outputs[0] for part in parts], {"axis": 0})
    model.graph.insert_before(first, [*numbers, *parts, joined])
    first.replace_input_with(0, joined.outputs[0])
    assert len(find_stream(model.graph).lookups) == 1


def write_an_input(model: ir.Model) -> None:
    given = graph_input("given", ir.DataType.FLOAT, ("tokens", 8))
    model.graph.inputs.append(given)
    nodes_of(model, "Add")[0].replace_input_with(1, given)


def write_something_else(model: ir.Model) -> None:
    add = nodes_of(model, "Add")[1]
    relu = ir.node("Relu", [add.inputs[1]])
    model.graph.insert_before(add, [relu])
    add.replace_input_with(1, relu.outputs[0])


def write_another_weight(model: ir.Model) -> None:
    weight = model.graph.initializers.pop(f"{FC2}.weight")
    weight.name = "model.decoder.layers.0.fc1.weight"
    model.graph.initializers[weight.name] = weight


def write_a_product_by_many(model: ir.Model) -> None:
    (product,) = nodes_of(model, "Mul")
    product.replace_input_with(1, model.graph.initializers[f"{FIRST}.weight"])


def read_it(model: ir.Model) -> None:
    model.graph.append(ir.node("Relu", [nodes_of(model, "Add")[0].outputs[0]]))


def hand_it_out(model: ir.Model) -> None:
    model.graph.outputs.append(nodes_of(model, "Add")[1].outputs[0])


def normalise_with_another(model: ir.Model) -> None:
    norm = nodes_of(model, "LayerNormalization")[0]
    norm.replace_input_with(1, model.graph.initializers[f"{LAST}.bias"])


def normalise_otherwise(model: ir.Model) -> None:
    """As ONNX Runtime spells a LayerNorm of a sum."""
    add, norm = nodes_of(model, "Add")[1], nodes_of(model, "LayerNormalization")[1]
    inputs = [*add.inputs, norm.inputs[1]]
    skip = ir.node("SkipLayerNormalization", inputs, domain="com.microsoft")
    model.graph.append(skip)
    ir.convenience.replace_all_uses_with(norm.outputs[0], skip.outputs[0], True)
    model.graph.remove([norm, add], safe=True)


def write_elsewhere(model: ir.Model) -> None:
    weight = model.graph.initializers[f"{FC2}.weight"]
    model.graph.append(ir.node("Relu", [weight]))


def embed_elsewhere(model: ir.Model) -> None:
    table, ids = model.graph.initializers[TABLE], model.graph.inputs[0]
    model.graph.append(ir.node("Gather", [table, ids]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (write_an_input, "^the input given is added to the residual stream"),
        (write_something_else, "^Relu of nothing is at the residual stream, expected LayerN"),
        (write_another_weight, r"^Gemm of .*fc1\.weight, .*fc2\.bias is at the residual stream"),
        (write_a_product_by_many, "^Mul of nothing is at the residual stream"),
        (read_it, "^the residual stream, Add.*, is read by Relu, expected LayerNorms"),
        (hand_it_out, "^the residual stream, Add.*, is read by the outside, expected LayerNorms"),
        (normalise_with_another, r"^LayerNormalization of .*layer_norm\.bias is at the residual"),
        (normalise_otherwise, "^the residual stream, Add.*, is read by SkipLayerNormalization"),
        (write_elsewhere, r"^model.*fc2\.weight is read by Relu, which is not at the residual st"),
        (embed_elsewhere, r"^model\.shared\.weight is read by Gather, which is not at the resid"),
    ],
)
def test_what_is_not_known_is_refused(spoil: Callable[[ir.Model], None], message: str) -> None:
    model = stream_model()
    spoil(model)
    with pytest.raises(ValueError, match=message):
        find_stream(model.graph)
