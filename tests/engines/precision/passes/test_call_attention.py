"""Attention of the decoder becomes calls; the source's words are left open where halves may be."""

from collections import Counter
from collections.abc import Sequence

import onnx_ir as ir
import pytest

from engines.precision.products import graph_input, model_of
from pegasus_engines.precision.passes.call_attention import call_attention
from pegasus_runtime.sessions.ort.halves import KERNELS_WORDS

HEADS = 2


def decoder(head_dim: int = 4) -> ir.Model:
    """One layer's attention of a decoder step."""
    dim = HEADS * head_dim
    floats, whole = ir.DataType.FLOAT, ir.DataType.INT32
    qkv = graph_input("qkv", floats, ("rows", 3 * dim))
    axis = ir.Value(name="axis", const_value=ir.tensor([1], name="axis"))
    split = ir.node("Split", [qkv], {"axis": -1, "num_outputs": 3}, num_outputs=3)
    new = [ir.node("Unsqueeze", [third, axis]) for third in split.outputs]
    past = [
        graph_input(f"past_self_{kind}.0", floats, ("rows", HEADS, "time", head_dim))
        for kind in ("key", "value")
    ]
    cross = [
        graph_input(f"cross_{kind}.0", floats, ("batch", HEADS, "source", head_dim))
        for kind in ("key", "value")
    ]
    position, beams = (graph_input(name, whole, (1,)) for name in ("position", "beams"))
    indirection = graph_input("indirection", whole, ("batch", "beams", "time"))
    mask = graph_input("attention_mask", ir.DataType.INT64, ("batch", "source"))
    given = [*(each.outputs[0] for each in new), None, None, *past, position, beams, indirection]
    own = _contrib("DecoderMaskedMultiHeadAttention", given, 3)
    for value, kind in zip(own.outputs[1:], ("key", "value"), strict=True):
        value.name = f"present_self_{kind}.0"
        value.shape = ir.Shape(["rows", HEADS, "time", head_dim])
    cast = ir.node("Cast", [mask], {"to": whole.value})
    over = _contrib("MultiHeadAttention", [own.outputs[0], *cross, None, cast.outputs[0]], 1)
    over.outputs[0].name = "attended"
    inputs = [qkv, *past, *cross, position, beams, indirection, mask]
    nodes = [split, *new, own, cast, over]
    return model_of(inputs, [*over.outputs, *own.outputs[1:]], nodes, [axis])


def encoder(head_dim: int = 4) -> ir.Model:
    """What the encoder gives of one layer's keys."""
    hidden = graph_input("hidden", ir.DataType.FLOAT, ("batch", "source", HEADS * head_dim))
    shape = ir.Value(name="shape", const_value=ir.tensor([0, 0, HEADS, head_dim], name="shape"))
    split = ir.node("Reshape", [hidden, shape])
    keys = ir.node("Transpose", split.outputs, {"perm": [0, 2, 1, 3]})
    keys.outputs[0].name = "cross_key.0"
    keys.outputs[0].shape = ir.Shape(["batch", HEADS, "source", head_dim])
    return model_of([hidden], list(keys.outputs), [split, keys], [shape])


def encoder_attention(
    order: tuple[int, ...] = (0, 1, 2), head_dim: int = 4, **more: int
) -> ir.Model:
    """One layer's of an encoder: `order` is that of the thirds which are query, key and value."""
    dim = HEADS * head_dim
    qkv = graph_input("qkv", ir.DataType.FLOAT, ("tokens", 3 * dim))
    mask = graph_input("attention_mask", ir.DataType.INT64, ("batch", "source"))
    shape = ir.Value(name="shape", const_value=ir.tensor([-1, 5, dim], name="shape"))
    split = ir.node("Split", [qkv], {"axis": -1, "num_outputs": 3}, num_outputs=3)
    reshapes = [ir.node("Reshape", [split.outputs[place], shape]) for place in order]
    cast = ir.node("Cast", [mask], {"to": ir.DataType.INT32.value})
    given = [*(each.outputs[0] for each in reshapes), None, cast.outputs[0]]
    attend = ir.node(
        "MultiHeadAttention", given, {"num_heads": HEADS} | more, domain="com.microsoft"
    )
    attend.outputs[0].name = "attended"
    attend.outputs[0].shape = ir.Shape(["batch", "source", dim])
    nodes = [split, *reshapes, cast, attend]
    return model_of([qkv, mask], list(attend.outputs), nodes, [shape])


def _contrib(name: str, inputs: Sequence[ir.Value | None], outputs: int) -> ir.Node:
    attributes = {"num_heads": HEADS}
    return ir.node(name, inputs, attributes, domain="com.microsoft", num_outputs=outputs)


def test_a_step_calls_both_attentions_and_casts_no_mask() -> None:
    model = decoder()
    assert call_attention(model, half=False)
    operators = Counter(node.op_type for node in model.graph)
    assert operators == {"BeamAttention": 1, "SourceAttention": 1}
    assert {name for _, name, _ in model.functions} == set(operators)
    names = [value.name for value in model.graph.outputs]
    assert names == ["attended", "present_self_key.0", "present_self_value.0"]


@pytest.mark.parametrize(("half", "words"), [(False, 4), (True, KERNELS_WORDS)])
def test_words_of_keys_and_values_are_open_where_they_are_kept_in_halves(
    half: bool, words: int | str
) -> None:
    graphs = [decoder(), encoder()]
    for model in graphs:
        call_attention(model, half=half)
    kept = [
        value
        for model in graphs
        for value in (*model.graph.inputs, *model.graph.outputs)
        if str(value.name).startswith(("cross_", "past_", "present_"))
    ]
    assert len(kept) == 7
    for value in kept:
        assert value.shape is not None
        assert value.shape[3] == words
    beams = next(node for node in graphs[0].graph if node.op_type == "BeamAttention")
    assert ("half" in beams.attributes) is half
    operators = [node.op_type for node in graphs[1].graph]
    assert operators == (["KeepSource"] if half else ["Reshape", "Transpose"])


def test_heads_of_odd_size_are_kept_in_floats() -> None:
    source = encoder(head_dim=3)
    assert not call_attention(source, half=True)
    assert [node.op_type for node in source.graph] == ["Reshape", "Transpose"]
    model = decoder(head_dim=3)
    call_attention(model, half=True)
    kept = [value for value in model.graph.inputs if str(value.name).startswith("past_")]
    assert [value.shape[3] for value in kept if value.shape] == [3, 3]
    assert all("half" not in node.attributes for node in model.graph)


@pytest.mark.parametrize("half", [False, True])
def test_an_encoder_calls_attention_of_thirds(half: bool) -> None:
    model = encoder_attention()
    assert call_attention(model, half=half)
    (node,) = model.graph
    assert (node.op_type, "half" in node.attributes) == ("SelfAttention", half)
    assert [value.name for value in node.inputs if value] == ["qkv", "attention_mask"]
    assert [value.name for value in model.graph.outputs] == ["attended"]


@pytest.mark.parametrize("half", [False, True])
def test_block_sparse_attention_may_round_where_the_source_is_kept_in_halves(half: bool) -> None:
    x = graph_input("x", ir.DataType.FLOAT, ("batch", "source", 8))
    node = ir.node("BlockSparseAttention", [x], domain="pegasus_edge")
    node.outputs[0].name = "attended"
    model = model_of([x], list(node.outputs), [node], [])
    given = ir.Value(name="given")
    graph = ir.Graph([given], [given], nodes=[], opset_imports={"": 18})
    function = ir.Function("pegasus_edge", node.op_type, graph=graph, attributes=[])
    model.functions[function.identifier()] = function
    assert call_attention(model, half=half) == half
    assert ("half" in node.attributes) == ("half" in function.attributes) == half
    assert not call_attention(model, half=half)


@pytest.mark.parametrize(
    "model",
    [
        encoder_attention(order=(1, 0, 2)),
        encoder_attention(unidirectional=1),
        encoder_attention(head_dim=514),
    ],
    ids=["another order", "causal", "large heads"],
)
def test_other_attention_stays_in_stock_operators(model: ir.Model) -> None:
    assert not call_attention(model, half=False)
    assert "MultiHeadAttention" in {node.op_type for node in model.graph}


def test_heads_that_kernels_have_no_room_for_stay_in_stock_operators() -> None:
    model = decoder(head_dim=514)
    assert not call_attention(model, half=True)
    assert not model.functions


def test_a_second_time_there_is_nothing_to_call() -> None:
    model = decoder()
    call_attention(model, half=True)
    assert not call_attention(model, half=True)
