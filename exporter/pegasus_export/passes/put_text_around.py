"""Text in front of a graph that generates, and text behind it: operators of onnxruntime-extensions.

In front, its SentencepieceTokenizer cuts texts as the bundle's tokenizer does; ids, EOS, the limit,
padding and mask are stock operators. Behind, tokens are looked up as text and joined
(SentencepieceDecoder takes one sequence alone, and knows nothing of ids that are no pieces).

inputs      text [B] string, and the graph's own but input_ids and attention_mask
outputs     texts [B, R] string, the graph's own, truncated [B] bool: whether a text lost its end,
            num_tokens [B] int64: of each text, EOS included, before it was cut. One without
            words has those alone that come around any; a graph cannot refuse it.

Dimensions: B batch, R returned sequences, S source, T target tokens, N tokens of all texts.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from pegasus_export.errors import UnsupportedError
from pegasus_export.tokenizer.model_proto import BYTE, CONTROL, UNKNOWN, read_model
from pegasus_export.tokenizer.plan import PlannedTokenizer
from pegasus_runtime.tokenization.clean_up_spaces import TIGHT
from pegasus_runtime.tokenization.model_proto import with_control_pieces
from pegasus_runtime.tokenization.part_reader import SPACE

__all__ = ["EXTENSIONS", "check_text", "put_text_around"]

EXTENSIONS: Final = "ai.onnx.contrib"
"""The domain of onnxruntime-extensions' operators."""
_Array: TypeAlias = npt.NDArray[np.generic]
_SOURCE: Final = ("input_ids", "attention_mask")
_END: Final = np.iinfo(np.int64).max


def check_text(planned: PlannedTokenizer | None) -> PlannedTokenizer:
    """The tokenizer, if operators can do what it does. Raises: UnsupportedError."""
    if planned is None:
        raise UnsupportedError(
            "--text needs a tokenizer, and the checkpoint has none: leave it out"
        )
    spec = planned.spec
    if spec.kind != "sentencepiece":
        what = f"reads {planned.source.name} as {spec.kind}"
    elif spec.added_tokens:
        what = f"looks for added tokens ({spec.added_tokens[0].content}) in a text"
    elif spec.prepend != "always":
        what = "puts no space in front of a text"
    elif any(piece.kind == BYTE for piece in read_model(planned.content)[0]):
        what = "spells characters by their bytes"
    else:
        return planned
    raise UnsupportedError(
        f"--text is for tokenizers that are SentencePiece's own, and this one {what}: leave it "
        "out, and use the tokenizer's own files beside generate.onnx"
    )


def put_text_around(
    model: onnx.ModelProto,
    planned: PlannedTokenizer,
    *,
    max_source_tokens: int,
    vocab_size: int,
) -> None:
    """Changes the model in place; weights that are external stay where they are.

    Raises: UnsupportedError for a tokenizer that operators cannot do.
    """
    check_text(planned)
    before, after = _Nodes("text_in."), _Nodes("text_out.")
    _source_ids(before, planned, max_source_tokens)
    _texts(after, planned, vocab_size)
    graph = model.graph
    inputs = [each for each in graph.input if each.name not in _SOURCE]
    outputs, nodes = list(graph.output), list(graph.node)
    del graph.input[:], graph.output[:], graph.node[:]
    graph.input.extend([_tensor("text", TensorProto.STRING, "batch"), *inputs])
    graph.output.extend(
        [
            _tensor("texts", TensorProto.STRING, "batch", "returned"),
            *outputs,
            _tensor("truncated", TensorProto.BOOL, "batch"),
            _tensor("num_tokens", TensorProto.INT64, "batch"),
        ]
    )
    graph.node.extend([*before.nodes, *nodes, *after.nodes])
    graph.initializer.extend([*before.constants, *after.constants])
    if all(each.domain != EXTENSIONS for each in model.opset_import):
        model.opset_import.append(helper.make_opsetid(EXTENSIONS, 1))


def _tensor(name: str, dtype: int, *shape: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


class _Nodes:
    """A list of nodes that grows by calls; operands are names of values, or constants."""

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._prefix = prefix

    def __call__(
        self,
        operator: str,
        *operands: str | _Array,
        outputs: Sequence[str] = (),
        domain: str = "",
        **attributes: int | bytes,
    ) -> str:
        """Appends a node, and returns the name of its first output."""
        name = f"{self._prefix}{operator}.{len(self.nodes)}"
        outputs = outputs or [name]
        inputs = [self._name(operand) for operand in operands]
        node = helper.make_node(operator, inputs, outputs, name, domain=domain)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.nodes.append(node)
        return outputs[0]

    def _name(self, operand: str | _Array) -> str:
        if isinstance(operand, str):
            return operand
        name = f"{self._prefix}constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(operand, name))
        return name


def _source_ids(nodes: _Nodes, planned: PlannedTokenizer, max_source_tokens: int) -> None:
    """text -> input_ids and attention_mask [B, S], truncated and num_tokens [B]."""
    spec = planned.spec
    around = len(spec.prefix_ids) + len(spec.suffix_ids)
    pieces, ends = _pieces(nodes, planned)
    ids = nodes("Add", nodes("Cast", pieces, to=TensorProto.INT64), _ints(spec.offset))
    starts = nodes("Slice", ends, _ints([0]), _ints([-1]), _ints([0]))  # [B + 1] -> [B]
    counts = nodes("Sub", nodes("Slice", ends, _ints([1]), _ints([_END]), _ints([0])), starts)
    most = _ints(max_source_tokens - around)
    nodes("Greater", counts, most, outputs=["truncated"])
    nodes("Add", counts, _ints(around), outputs=["num_tokens"])
    kept = nodes("Unsqueeze", nodes("Min", counts, most), _ints([1]))  # [B, 1]
    longest = nodes("Add", nodes("ReduceMax", kept, keepdims=0), _ints(around))
    # [S], of each place the token of its text
    places = nodes("Range", _ints(0), longest, _ints(1))
    number = nodes("Sub", places, _ints(len(spec.prefix_ids)))
    begins = nodes("GreaterOrEqual", number, _ints(0))
    is_text = nodes("And", begins, nodes("Less", number, kept))  # [B, S]
    place = nodes("Add", nodes("Unsqueeze", starts, _ints([1])), number)
    # one more, so that there is something to look up where all texts are empty
    padded = nodes("Concat", ids, _ints([spec.pad_token_id]), axis=0)
    looked_up = nodes("Gather", padded, nodes("Where", is_text, place, _ints(-1)))
    for index, token_id in enumerate(spec.prefix_ids):
        here = nodes("Equal", places, _ints(index))
        looked_up = nodes("Where", here, _ints(token_id), looked_up)
    for index, token_id in enumerate(spec.suffix_ids):
        here = nodes("Equal", number, nodes("Add", kept, _ints(index)))
        looked_up = nodes("Where", here, _ints(token_id), looked_up)
    nodes("Identity", looked_up, outputs=["input_ids"])
    is_there = nodes("Less", places, nodes("Add", kept, _ints(around)))
    nodes("Cast", is_there, to=TensorProto.INT64, outputs=["attention_mask"])


def _pieces(nodes: _Nodes, planned: PlannedTokenizer) -> tuple[str, str]:
    """Pieces [N] int32 of all texts, and where each text's begin [B + 1]."""
    spec = planned.spec
    model = with_control_pieces(planned.content, max(spec.special_below - 1 - spec.offset, 0))
    no = np.array([False])
    how = (_ints([0]), np.array([0.0], np.float32), no, no, no)  # the likeliest, as it is
    found = [f"{EXTENSIONS}.pieces", f"{EXTENSIONS}.ends"]
    nodes("SentencepieceTokenizer", "text", *how, outputs=found, domain=EXTENSIONS, model=model)
    return found[0], found[1]


def _texts(nodes: _Nodes, planned: PlannedTokenizer, vocab_size: int) -> None:
    """sequences [B, R, T] -> texts [B, R]."""
    spellings = np.array(_spellings(planned, vocab_size), dtype=object)
    tokens = nodes("Gather", spellings, "sequences")
    joined = nodes("StringJoin", tokens, _strings(""), _ints([2]), domain=EXTENSIONS)
    rules = [("^ +", "")]  # as SentencePiece drops them
    if planned.spec.clean_up_spaces:
        rules += [(re.sub(r"([.?])", r"\\\1", loose), tight) for loose, tight in TIGHT]
    for pattern, text in rules:
        joined = nodes(
            "StringRegexReplace",
            joined,
            _strings(pattern),
            _strings(text),
            domain=EXTENSIONS,
            global_replace=1,
        )
    nodes("Identity", joined, outputs=["texts"])


def _spellings(planned: PlannedTokenizer, vocab_size: int) -> list[str]:
    """Of each id what it is decoded to: nothing for special ones, and for what is no piece."""
    spec = planned.spec
    pieces, _ = read_model(planned.content)
    found = [""] * vocab_size
    for number, piece in enumerate(pieces):
        token_id = number if number < 2 else number + spec.offset
        if token_id >= spec.special_below and piece.kind not in (CONTROL, UNKNOWN):
            found[token_id] = piece.text.replace(SPACE, " ")
    return found


def _ints(value: int | Sequence[int]) -> _Array:
    return np.array(value, np.int64)


def _strings(value: str) -> _Array:
    return np.array([value], dtype=object)
