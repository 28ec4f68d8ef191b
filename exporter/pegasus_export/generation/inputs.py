"""The inputs of generate.onnx, and checks of them that ONNX has no operator for.

A graph cannot raise. What it can is look up what is not there: a Gather whose index is out of
bounds fails in every runtime, and the message has the node's name, which says what is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from pegasus_export.dialects.nodes import Nodes
from pegasus_export.generation.fixed import FixedSettings

__all__ = ["SCALARS", "SearchInputs", "check_inputs", "make_inputs"]

_MOST = float(np.finfo(np.float32).max)

SCALARS: Mapping[str, ir.DataType] = {
    "num_beams": ir.DataType.INT64,
    "max_length": ir.DataType.INT64,
    "min_length": ir.DataType.INT64,
    "length_penalty": ir.DataType.FLOAT,
    "early_stopping": ir.DataType.INT64,
    "no_repeat_ngram_size": ir.DataType.INT64,
    "repetition_penalty": ir.DataType.FLOAT,
    "num_return_sequences": ir.DataType.INT64,
}
"""In their order, behind input_ids and attention_mask [B, S] int64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchInputs:
    """The scalars as the nodes take them, each [1], and checked."""

    num_beams: ir.Value
    max_length: ir.Value
    min_length: ir.Value
    length_penalty: ir.Value
    early_stopping: ir.Value
    no_repeat_ngram_size: ir.Value
    repetition_penalty: ir.Value
    num_return_sequences: ir.Value
    is_greedy: ir.Value
    """Whether there is one beam."""


def make_inputs() -> dict[str, ir.Value]:
    """The scalars, as inputs of a graph."""
    return {
        name: ir.Value(name=name, shape=ir.Shape(()), type=ir.TensorType(dtype))
        for name, dtype in SCALARS.items()
    }


def check_inputs(
    nodes: Nodes,
    given: Mapping[str, ir.Value],
    input_ids: ir.Value,
    attention_mask: ir.Value,
    fixed: FixedSettings,
) -> tuple[SearchInputs, ir.Value]:
    """The scalars and the mask [B, S] behind their checks."""
    values = _check_scalars(nodes, given, fixed)
    mask = _check_source(nodes, input_ids, attention_mask, fixed)
    is_greedy = nodes("Equal", values["num_beams"], [1])
    return SearchInputs(**values, is_greedy=is_greedy), mask


def _check_scalars(
    nodes: Nodes, given: Mapping[str, ir.Value], fixed: FixedSettings
) -> dict[str, ir.Value]:
    """Each as [1]."""
    values = {name: nodes("Reshape", value, [1]) for name, value in given.items()}
    beams, returned = values["num_beams"], values["num_return_sequences"]
    checks = (
        ("num_beams", _within(nodes, beams, 1, fixed.max_beams), f"1 to {fixed.max_beams}"),
        (
            "max_length",
            _within(nodes, values["max_length"], 2, fixed.max_length),
            f"2 to {fixed.max_length} tokens, start token included",
        ),
        ("early_stopping", _within(nodes, values["early_stopping"], 0, 2), "0, 1 or 2 (never)"),
        (
            "no_repeat_ngram_size",
            nodes("GreaterOrEqual", values["no_repeat_ngram_size"], [0]),
            "0 or more",
        ),
        ("length_penalty", _is_finite(nodes, values["length_penalty"]), "a finite number"),
        (
            "repetition_penalty",
            nodes(
                "And",
                nodes("Greater", values["repetition_penalty"], [0.0]),
                _is_finite(nodes, values["repetition_penalty"]),
            ),
            "more than 0, and finite",
        ),
        (
            "num_return_sequences",
            nodes(
                "And",
                nodes("GreaterOrEqual", returned, [1]),
                nodes("LessOrEqual", returned, beams),
            ),
            "1 to num_beams",
        ),
    )
    for name, holds, expected in checks:
        values[name] = _require(nodes, values[name], holds, f"{name} is to be {expected}")
    return values


def _check_source(
    nodes: Nodes, input_ids: ir.Value, attention_mask: ir.Value, fixed: FixedSettings
) -> ir.Value:
    source = nodes("Shape", attention_mask, start=1, end=2)
    mask = _require(
        nodes,
        attention_mask,
        _within(nodes, source, 1, fixed.max_source_tokens),
        f"input_ids are to be 1 to {fixed.max_source_tokens} tokens",
    )
    mask = _require(
        nodes, mask, _same_shape(nodes, mask, input_ids), "attention_mask is to be as input_ids are"
    )
    mask = _require(
        nodes,
        mask,
        nodes(
            "And",
            nodes("GreaterOrEqual", nodes("ReduceMin", input_ids), [0]),  # -1 is the last, to ONNX
            nodes("Less", nodes("ReduceMax", input_ids), [fixed.vocab_size]),
        ),
        f"input_ids are to be tokens, 0 to {fixed.vocab_size - 1}",
    )
    # As transformers takes it: what is not 0 is there.
    return nodes("Cast", nodes("Cast", mask, to=ir.DataType.BOOL), to=ir.DataType.INT64)


def _within(nodes: Nodes, value: ir.Value, least: int, most: int) -> ir.Value:
    return nodes(
        "And",
        nodes("GreaterOrEqual", value, [least]),
        nodes("LessOrEqual", value, [most]),
    )


def _same_shape(nodes: Nodes, one: ir.Value, other: ir.Value) -> ir.Value:
    """[1]; sizes of 1 would be repeated in silence otherwise."""
    equal = nodes("Equal", nodes("Shape", one), nodes("Shape", other))
    both = nodes("ReduceMin", nodes("Cast", equal, to=ir.DataType.INT64))
    return nodes("Cast", both, to=ir.DataType.BOOL)


def _is_finite(nodes: Nodes, value: ir.Value) -> ir.Value:
    """False of NaN, too, which compares with nothing."""
    return nodes("LessOrEqual", nodes("Abs", value), [_MOST])


def _require(nodes: Nodes, value: ir.Value, holds: ir.Value, message: str) -> ir.Value:
    """The value, if the condition [1] holds; running the graph fails otherwise."""
    index = nodes("Where", nodes("Squeeze", holds), 0, 1)
    only = nodes("Unsqueeze", value, [0])
    checked = nodes("Gather", only, index, axis=0)
    node = checked.producer()
    assert node is not None
    node.name = message
    return checked
