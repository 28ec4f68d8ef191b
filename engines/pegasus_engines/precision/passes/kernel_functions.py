"""Functions that the graphs of target ort call where kernels for CPUs may stand in for them.

A call names an operator of domain `pegasus_edge`. ONNX Runtime takes the operator where a library
has registered it (plugins/csrc/cpu/operators), and else inlines the function that the model has of
the same name: what is here, in operators of its own. What a body depends on is in the name, such as
Int8LinearPositiveBias; overloads of one name are not, as ONNX Runtime 1.23 takes any for any.

Graphs ask for version 5 of the domain. Those of older bundles, whose operators have other inputs or
attributes, ask for less, of which no library has any.

Dimensions: M rows, K input channels, N output channels, B documents, R rows per document, S source,
H heads, Dh head dim, D model dim, T positions there is room for, V vocabulary.
Source: onnxruntime docs/ContribOperators.md.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.tape import Tape

__all__ = ["DOMAIN", "VERSION", "add_function", "call"]

DOMAIN = "pegasus_edge"
VERSION = 5
"""The same number in plugins/csrc/cpu/operators/operator.h, and in the name KERNELS_WORDS of
runtime/pegasus_runtime/sessions/ort/halves.py."""
_MICROSOFT = "com.microsoft"
_LOWEST = float(np.finfo(np.float32).min)
_OPSET = 18
_LINEAR = "Int8Linear"
_KINDS = ("positive", "transposed", "bias", "rectify")
"""What the name of a product may say, in this order."""
_BIAS = 3  # its place among the inputs

_Attributes = Mapping[str, float]
_Body = Callable[[Tape, list[ir.Value], _Attributes], list[ir.Value]]


def call(
    operator: str, inputs: list[ir.Value | None], attributes: _Attributes, *, num_outputs: int = 1
) -> ir.Node:
    """A node that calls the function; `add_function` has to give it to the model.

    attributes: of Int8Linear, what becomes part of its name.
    """
    if operator == _LINEAR:
        kinds = [name for name in _KINDS if attributes.get(name) or _is_biased(name, inputs)]
        operator, attributes = _LINEAR + "".join(kind.capitalize() for kind in kinds), {}
    return ir.node(operator, inputs, dict(attributes), domain=DOMAIN, num_outputs=num_outputs)


def add_function(model: ir.Model, node: ir.Node) -> None:
    """Gives the model what the node calls, if it has it not yet: of all calls of a name in a model,
    the attributes are the same."""
    if node.op_identifier() in model.functions:
        return
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    inputs = [ir.Value(name=f"input.{place}") for place, _ in enumerate(node.inputs)]
    tape = Tape()
    if node.op_type.startswith(_LINEAR):
        outputs = _int8_linear(tape, inputs, node.op_type)
    else:
        outputs = _BODIES[node.op_type](tape, inputs, attributes)
    for number, each in enumerate(tape.nodes):
        for place, value in enumerate(each.outputs):
            value.name = f"{each.op_type}.{number}.{place}"
    opsets = {"": _OPSET, _MICROSOFT: 1}
    graph = ir.Graph(inputs, outputs, nodes=tape.nodes, opset_imports=opsets, name=node.op_type)
    function = ir.Function(
        DOMAIN,
        node.op_type,
        graph=graph,
        attributes=[ir.Attr(each.name, each.type, None) for each in node.attributes.values()],
    )
    model.functions[function.identifier()] = function
    for domain, version in {**opsets, DOMAIN: VERSION}.items():
        model.opset_imports.setdefault(domain, version)


def _is_biased(kind: str, inputs: list[ir.Value | None]) -> bool:
    return kind == "bias" and len(inputs) > _BIAS


def _int8_linear(tape: Tape, inputs: list[ir.Value], name: str) -> list[ir.Value]:
    """x [M, K] float32, weight [K, N] int8 ([N, K] if transposed), scale [N], bias [N] -> [M, N].

    Rows are rounded as in `round_rows.py`.
    """
    x, weight, scale, *bias = inputs
    positive, transposed, _, rectify = (kind.capitalize() in name for kind in _KINDS)
    step = _constant(tape, np.float32(1 / 255 if positive else 1 / 127))
    zero = _constant(tape, np.uint8(0 if positive else 128))
    size = x if positive else tape.op("Abs", [x])
    last = _constant(tape, np.array([-1], np.int64))
    largest = tape.op("ReduceMax", [size, last], {"keepdims": 1})
    rounded = tape.op("QuantizeLinear", [tape.op("Div", [x, largest]), step, zero])
    if transposed:
        # No zero points: those of int8 are zeros where none are given.
        given = [rounded, step, zero, weight, scale, _zero_points(tape, scale)]
        product = tape.op("QGemm", given, {"transB": 1}, domain=_MICROSOFT)
    else:
        given = [rounded, weight, step, scale, zero]
        product = tape.op("MatMulIntegerToFloat", given, domain=_MICROSOFT)
    y = tape.op("Mul", [product, largest])
    if bias:
        y = tape.op("Add", [y, bias[0]])
    return [tape.op("Relu", [y]) if rectify else y]


def _zero_points(tape: Tape, scale: ir.Value) -> ir.Value:
    """Zeros [N] int8; ONNX Runtime works them out when it loads the graph."""
    zero = ir.tensor(np.zeros(1, np.int8))
    return tape.op("ConstantOfShape", [tape.op("Shape", [scale])], {"value": zero})


def _source_attention(
    tape: Tape, inputs: list[ir.Value], attributes: _Attributes
) -> list[ir.Value]:
    """query [B, R, D], key and value [B, H, S, Dh], mask [B, S] int64 -> [B, R, D]."""
    query, key, value, mask = inputs
    whole = tape.op("Cast", [mask], {"to": ir.DataType.INT32.value})
    heads = {"num_heads": attributes["num_heads"], "mask_filter_value": _LOWEST}
    given = [query, key, value, None, whole]
    return [tape.op("MultiHeadAttention", given, heads, domain=_MICROSOFT)]


def _self_attention(tape: Tape, inputs: list[ir.Value], attributes: _Attributes) -> list[ir.Value]:
    """query, key and value side by side [B*S, 3*D], mask [B, S] int64 -> [B, S, D]; where `half` is
    1, kernels may round all three, and weights, to bfloat16."""
    qkv, mask = inputs
    last = _constant(tape, np.array([-1], np.int64))
    shape = tape.op("Concat", [tape.op("Shape", [mask]), last], {"axis": 0})
    given = [tape.op("Reshape", [third, shape]) for third in _thirds(tape, qkv)]
    whole = tape.op("Cast", [mask], {"to": ir.DataType.INT32.value})
    heads = {"num_heads": attributes["num_heads"], "mask_filter_value": _LOWEST}
    return [tape.op("MultiHeadAttention", [*given, None, whole], heads, domain=_MICROSOFT)]


def _beam_attention(tape: Tape, inputs: list[ir.Value], attributes: _Attributes) -> list[ir.Value]:
    """query, key and value side by side [B*R, 3*D], the past's [B*R, H, T, Dh], position [1],
    beam_width [1], indirection [B, R, T] -> [B*R, 1, D], and the past with the new keys and
    values; where `half` is 1, kernels take the past in words of two IEEE halves."""
    axis = _constant(tape, np.array([1], np.int64))
    new = [tape.op("Unsqueeze", [third, axis]) for third in _thirds(tape, inputs[0])]
    given = [*new, None, None, *inputs[1:]]
    heads = {"num_heads": attributes["num_heads"], "past_present_share_buffer": 1}
    name = "DecoderMaskedMultiHeadAttention"
    return list(tape.op_multi_out(name, given, heads, domain=_MICROSOFT, num_outputs=3))


def _thirds(tape: Tape, qkv: ir.Value) -> Sequence[ir.Value]:
    return tape.op_multi_out("Split", [qkv], {"axis": -1, "num_outputs": 3}, num_outputs=3)


def _keep_source(tape: Tape, inputs: list[ir.Value], attributes: _Attributes) -> list[ir.Value]:
    """[B, S, D] -> [B, H, S, Dh]; kernels give [B, H, S, Dh / 2] words of two halves each."""
    heads = _constant(tape, np.array([0, 0, attributes["num_heads"], -1], np.int64))
    split = tape.op("Reshape", [inputs[0], heads])
    return [tape.op("Transpose", [split], {"perm": [0, 2, 1, 3]})]


def _add_layer_normalization(
    tape: Tape, inputs: list[ir.Value], attributes: _Attributes
) -> list[ir.Value]:
    """x and y [M, D], weight and bias [D] -> x + y, and that normalised, both [M, D]."""
    x, y, weight, bias = inputs
    total = tape.op("Add", [x, y])
    normed = tape.op("LayerNormalization", [total, weight, bias], {"axis": -1, "stash_type": 1})
    norm = tape.nodes[-1]
    norm.attributes["epsilon"] = ir.RefAttr("epsilon", "epsilon", ir.AttributeType.FLOAT)
    return [total, normed]


def _log_softmax_top_k(
    tape: Tape, inputs: list[ir.Value], attributes: _Attributes
) -> list[ir.Value]:
    """logits [N, V], k [1] int64 -> log-probabilities [N, V], and of each row the k best and their
    columns [N, k] float32, int64, descending, of equals the lower column first."""
    logits, k = inputs
    log_probs = tape.op("LogSoftmax", [logits], {"axis": -1})
    best = tape.op_multi_out("TopK", [log_probs, k], {"axis": -1}, num_outputs=2)
    return [log_probs, *best]


_BODIES: Mapping[str, _Body] = {
    "SelfAttention": _self_attention,
    "SourceAttention": _source_attention,
    "BeamAttention": _beam_attention,
    "KeepSource": _keep_source,
    "AddLayerNormalization": _add_layer_normalization,
    "LogSoftmaxTopK": _log_softmax_top_k,
}


def _constant(tape: Tape, array: np.generic | npt.NDArray[np.generic]) -> ir.Value:
    return tape.op("Constant", [], {"value": ir.tensor(array)})
