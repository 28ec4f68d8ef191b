"""Attention as calls: see `kernel_functions.py`.

    MultiHeadAttention over thirds of one product  SelfAttention
    MultiHeadAttention over inputs cross_key.{l}   SourceAttention
    DecoderMaskedMultiHeadAttention, of thirds     BeamAttention
    Reshape, Transpose to cross_key.{l}            KeepSource, where they are kept as halves

Where keys and values are kept as halves, their last dimension is `head_words_{VERSION}`: half of
the head dim where kernels do so, and the head dim where none are, or kernels of another version.
"""

from collections.abc import Iterable

import onnx_ir as ir

from pegasus_engines.precision.passes.kernel_functions import DOMAIN, VERSION, add_function, call
from pegasus_engines.precision.passes.take_over import take_over

__all__ = ["call_attention"]

_WORDS = f"head_words_{VERSION}"
_CROSS = ("cross_key.", "cross_value.")
_TARGET = ("past_self_key.", "past_self_value.", "present_self_key.", "present_self_value.")
_CACHES = (*_CROSS, *_TARGET)
_MAX_HEAD_DIM = 512
"""What kernels have room for: kMaxHeadDim in plugins/csrc/cpu/kernels.h."""


def call_attention(model: ir.Model, *, half: bool) -> bool:
    """Changes the model in place, says whether there was any. half: whether keys and values
    are kept as halves, and kernels may round what an encoder attends with to bfloat16."""
    values = (*model.graph.inputs, *model.graph.outputs)
    if any(_head_dim(value) > _MAX_HEAD_DIM for value in values):
        return False
    changed = False
    for node in list(model.graph):
        found = None
        if node.op_type == "DecoderMaskedMultiHeadAttention":
            found = _call_beams(node, half=half)
        elif node.op_type == "MultiHeadAttention" and _is_cross(node.inputs[1]):
            found = _call_source(node)
        elif node.op_type == "MultiHeadAttention":
            found = _call_self(node, half=half)
        elif half and (node.domain, node.op_type) == (DOMAIN, "BlockSparseAttention"):
            changed |= _let_round(model, node)
        elif half and node.op_type == "Transpose" and _is_cross(node.outputs[0]):
            found = _call_keep(node)
        if found is not None:
            _put(model, node, found)
            changed = True
    if half:
        ends = (*model.graph.inputs, *model.graph.outputs)  # others than before
        _free_words(value for value in ends if _is_cross(value))
    return changed


def _call_beams(node: ir.Node, *, half: bool) -> ir.Node | None:
    qkv = _whole(node, "Unsqueeze")
    if qkv is None:
        return None
    caches = [value for value in (*node.inputs[5:7], *node.outputs[1:]) if value is not None]
    half = half and all(_head_dim(value) % 2 == 0 for value in caches)
    if half:
        _free_words(caches)
    heads = {"num_heads": node.attributes["num_heads"].as_int()} | ({"half": 1} if half else {})
    return call("BeamAttention", [qkv, *node.inputs[5:]], heads, num_outputs=3)


def _call_source(node: ir.Node) -> ir.Node:
    mask = node.inputs[4]
    assert mask is not None
    cast = mask.producer()
    assert cast is not None
    heads = node.attributes["num_heads"].as_int()
    return call("SourceAttention", [*node.inputs[:3], cast.inputs[0]], {"num_heads": heads})


def _call_self(node: ir.Node, *, half: bool) -> ir.Node | None:
    """Nothing where anything is added to scores, or it is causal."""
    if len(node.inputs) != 5 or node.inputs[3] is not None:
        return None
    qkv, cast = _whole(node, "Reshape"), _producer(node.inputs[4], "Cast")
    if qkv is None or cast is None or "unidirectional" in node.attributes:
        return None
    heads, shape = node.attributes["num_heads"].as_int(), node.outputs[0].shape
    if shape is None or not isinstance(shape[2], int) or shape[2] > heads * _MAX_HEAD_DIM:
        return None
    attributes = {"num_heads": heads} | ({"half": 1} if half else {})
    return call("SelfAttention", [qkv, cast.inputs[0]], attributes)


def _whole(node: ir.Node, shaped_by: str) -> ir.Value | None:
    """Of whose thirds, each shaped anew, a node has its query, key and value, in this order."""
    shapers = [_producer(value, shaped_by) for value in node.inputs[:3]]
    thirds = tuple(each.inputs[0] for each in shapers if each is not None)
    split = _producer(thirds[0], "Split") if len(thirds) == 3 else None
    return split.inputs[0] if split is not None and thirds == split.outputs else None


def _let_round(model: ir.Model, node: ir.Node) -> bool:
    """Nothing where the node says so already."""
    if "half" in node.attributes:
        return False
    node.attributes["half"] = ir.AttrInt64("half", 1)
    declared = model.functions[node.op_identifier()].attributes
    declared["half"] = ir.Attr("half", ir.AttributeType.INT, None)
    return True


def _call_keep(node: ir.Node) -> ir.Node | None:
    """Nothing where the Transpose does something else, or heads are odd, as no two make a word."""
    reshape = _producer(node.inputs[0], "Reshape")
    shape = node.outputs[0].shape
    if reshape is None or shape is None:
        return None
    heads, head_dim = shape[1], shape[3]
    assert isinstance(heads, int)
    assert isinstance(head_dim, int)
    if head_dim % 2 != 0:
        return None
    return call("KeepSource", [reshape.inputs[0]], {"num_heads": heads})


def _put(model: ir.Model, old: ir.Node, new: ir.Node) -> None:
    graph = model.graph
    graph.insert_before(old, new)
    for former, value in zip(old.outputs, new.outputs, strict=True):
        take_over(former, value)
    _remove(graph, old)
    add_function(model, new)


def _remove(graph: ir.Graph, node: ir.Node) -> None:
    """With all before it that nobody else reads."""
    before = {value.producer() for value in node.inputs if value is not None}
    graph.remove(node, safe=True)
    for each in before:
        if each is None or each.graph is not graph:
            continue
        if not any(value.uses() or value.is_graph_output() for value in each.outputs):
            _remove(graph, each)


def _producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """What makes a value, if it is that."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type == op_type else None


def _head_dim(value: ir.Value) -> int:
    """0 of what has no heads."""
    if value.name is None or value.shape is None or not value.name.startswith(_CACHES):
        return 0
    size = value.shape[3]
    return size if isinstance(size, int) else 0


def _is_cross(value: ir.Value | None) -> bool:
    return value is not None and value.name is not None and value.name.startswith(_CROSS)


def _free_words(values: Iterable[ir.Value]) -> None:
    """Where two numbers make a word."""
    for value in values:
        if value.shape is not None and _head_dim(value) and _head_dim(value) % 2 == 0:
            value.shape = ir.Shape([*value.shape[:3], _WORDS])
