"""Beam search as ONNX nodes: `pegasus_runtime.search.beam`, step for step, and greedy search.

Of equal scores TopK takes the one with the lower index, as that does. Two differences from it in
how, not in what: all beams run from the first step on, K - 1 of them at -1e9, as in transformers;
and a document whose search is over stays in the batch, with what it has found held fast.

Dimensions: B batch, K beams, N = B*K rows, L tokens of each row, C continuations of a document,
c candidates of a row, F finished rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import onnx_ir as ir

from pegasus_export.dialects.nodes import Nodes
from pegasus_export.generation.fixed import FixedSettings
from pegasus_export.generation.inputs import SearchInputs
from pegasus_export.generation.scores import Candidates

__all__ = [
    "Extended",
    "Outputs",
    "SearchState",
    "empty_state",
    "extend_rows",
    "first_state",
    "read_out",
]

_NEVER = -1e9
_FLOATS = np.finfo(np.float32)
_BOOL, _INT64, _DOUBLE = ir.DataType.BOOL, ir.DataType.INT64, ir.DataType.DOUBLE
_FLOAT = ir.DataType.FLOAT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchState:
    """What is carried from step to step."""

    sequences: ir.Value
    """[N, L] int64: running rows, the best of each document first."""
    scores: ir.Value
    """[B, K] float32: their summed log-probabilities."""
    finished_sequences: ir.Value
    """[N, L] int64: the best finished rows, padded."""
    finished_lengths: ir.Value
    """[B, K] int64: their tokens, start token included."""
    finished_scores: ir.Value
    """[B, K] float32: after the length penalty; -1e9 where none has finished."""
    is_finished: ir.Value
    """[B, K] bool"""
    done: ir.Value
    """[B] bool: documents whose search is over."""

    @classmethod
    def of(cls, values: Sequence[ir.Value]) -> "SearchState":
        """In the order of the fields."""
        names = (each.name for each in fields(cls))
        return cls(**dict(zip(names, values, strict=True)))

    def values(self) -> list[ir.Value]:
        """In the order of the fields."""
        return [getattr(self, each.name) for each in fields(self)]


def empty_state() -> SearchState:
    """Values without a producer: what the body of a loop is given."""
    types = {"scores": _FLOAT, "finished_scores": _FLOAT, "is_finished": _BOOL, "done": _BOOL}
    return SearchState(
        **{
            each.name: ir.Value(
                name=each.name,
                type=ir.TensorType(types.get(each.name, _INT64)),
                shape=ir.Shape([None] * (1 if each.name == "done" else 2)),
            )
            for each in fields(SearchState)
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extended:
    """What a step leads to."""

    state: SearchState
    rows: ir.Value
    """[N] int64: the row before that each running row continues."""
    goes_on: ir.Value
    """[] bool: whether any document's search is not over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outputs:
    """What the graph returns."""

    sequences: ir.Value
    """[B, R, T] int64 without start token."""
    lengths: ir.Value
    """[B, R] int64: 0 where there is none."""
    scores: ir.Value
    """[B, R] float32: -inf where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Continuations:
    sequences: ir.Value  # [B*C, L + 1]
    ranks: ir.Value  # [B, C] what they are chosen by
    scores: ir.Value  # [B, C] summed
    rows: ir.Value  # [B, C] among N
    ends: ir.Value  # [B, C]
    count: ir.Value  # [1] C


def first_state(
    nodes: Nodes, batch: ir.Value, inputs: SearchInputs, fixed: FixedSettings
) -> SearchState:
    """batch: [1]. One row of each document counts, as all are the same."""
    shape = nodes("Concat", batch, inputs.num_beams, axis=0)
    rows = nodes("Concat", nodes("Mul", batch, inputs.num_beams), [1], axis=0)
    starts = nodes("Expand", [fixed.decoder_start], rows)
    is_first = nodes("Equal", _count(nodes, inputs.num_beams), 0)
    scores = nodes("Where", is_first, 0.0, _NEVER)
    false = nodes("Expand", np.array(False), shape)
    return SearchState(
        sequences=starts,
        scores=nodes("Expand", scores, shape),
        finished_sequences=starts,
        finished_lengths=nodes("Expand", 1, shape),
        finished_scores=nodes("Expand", _NEVER, shape),
        is_finished=false,
        done=nodes("Expand", np.array(False), batch),
    )


def extend_rows(
    nodes: Nodes,
    state: SearchState,
    candidates: Candidates,
    length: ir.Value,
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> Extended:
    """One step of the search; length: [1], the tokens of rows before it."""
    found = _continue(nodes, state, candidates, length, inputs, fixed)
    now = nodes("Add", length, [1])
    ranks, scores = (
        nodes("Where", found.ends, nodes("Add", each, _NEVER), each)
        for each in (found.ranks, found.scores)
    )
    _, best = nodes.several("TopK", ranks, inputs.num_beams, count=2, axis=-1)
    rows = nodes("Reshape", nodes("GatherElements", found.rows, best, axis=1), [-1])
    kept = replace(
        _keep_finished(nodes, state, found, now, inputs, fixed),
        sequences=_take_rows(nodes, found.sequences, best, found.count),
        scores=nodes("GatherElements", scores, best, axis=1),
    )
    kept = replace(kept, done=_find_done(nodes, kept, found, now, inputs))
    goes_on = nodes("ReduceMax", nodes("Cast", nodes("Not", kept.done), to=_INT64), keepdims=0)
    return Extended(state=kept, rows=rows, goes_on=nodes("Cast", goes_on, to=_BOOL))


def _continue(
    nodes: Nodes,
    state: SearchState,
    candidates: Candidates,
    length: ir.Value,
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> _Continuations:
    """The C best continuations of each document.

    In greedy search a token ranks by its own score, from which its log-probability differs.
    """
    beams = inputs.num_beams
    width = nodes("Mul", beams, candidates.count)
    by_document = nodes("Concat", [-1], width, axis=0)

    def flat(value: ir.Value) -> ir.Value:  # [N, c] -> [B, K*c]
        return nodes("Reshape", value, by_document)

    running = nodes("Reshape", state.scores, [-1, 1])  # [B, K] -> [N, 1]
    summed = nodes("Add", candidates.log_probs, running)
    ranked = flat(nodes("Where", inputs.is_greedy, candidates.scores, summed))
    count = nodes("Min", nodes("Mul", beams, [fixed.candidates_per_beam]), width)
    ranks, order = nodes.several("TopK", ranked, count, count=2, axis=-1)  # [B, C]
    tokens = nodes("GatherElements", flat(candidates.ids), order, axis=1)
    rows = _among_all(nodes, nodes("Div", order, candidates.count), beams)
    before = nodes("Gather", state.sequences, nodes("Reshape", rows, [-1]), axis=0)
    ends = nodes("GreaterOrEqual", nodes("Add", length, [1]), inputs.max_length)
    for eos in fixed.eos:
        ends = nodes("Or", ends, nodes("Equal", tokens, eos))
    return _Continuations(
        sequences=nodes("Concat", before, nodes("Reshape", tokens, [-1, 1]), axis=1),
        ranks=ranks,
        scores=nodes("GatherElements", flat(summed), order, axis=1),
        rows=rows,
        ends=nodes("Expand", ends, nodes("Shape", order)),
        count=count,
    )


def _keep_finished(
    nodes: Nodes,
    state: SearchState,
    found: _Continuations,
    now: ir.Value,
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> SearchState:
    """Merges rows that ended now into the K best finished ones; of documents that are done, none.

    now: [1], tokens of rows with the new one.
    """
    penalized = _penalize(nodes, found.scores, nodes("Sub", now, [1]), inputs)
    # Only the K best continuations may finish: the others are there to keep K rows running.
    may_end = nodes("Less", _count(nodes, found.count), inputs.num_beams)
    ended = nodes("And", found.ends, may_end)
    ended = nodes("And", ended, nodes("Not", nodes("Unsqueeze", state.done, [1])))
    scores = nodes("Where", ended, penalized, nodes("Add", penalized, _NEVER))
    scores = nodes("Concat", state.finished_scores, scores, axis=1)  # [B, K + C]
    best_scores, best = nodes.several("TopK", scores, inputs.num_beams, count=2, axis=-1)
    lengths = nodes("Expand", now, nodes("Shape", found.scores))
    lengths = nodes("Concat", state.finished_lengths, lengths, axis=1)
    is_finished = nodes("Concat", state.is_finished, ended, axis=1)
    padding = nodes(
        "Expand",
        fixed.pad,
        nodes("Shape", nodes("Slice", state.sequences, [0], [1], [1])),
    )
    padded = nodes("Concat", state.finished_sequences, padding, axis=1)
    return replace(
        state,
        finished_sequences=_take_joined(nodes, padded, found, best, inputs),
        finished_lengths=nodes("GatherElements", lengths, best, axis=1),
        finished_scores=best_scores,
        is_finished=nodes("GatherElements", is_finished, best, axis=1),
    )


def _find_done(
    nodes: Nodes,
    state: SearchState,
    found: _Continuations,
    now: ir.Value,
    inputs: SearchInputs,
) -> ir.Value:
    """[B] the documents that cannot improve any more, or need not, and those that were done."""
    hopes = nodes(
        "And",
        nodes("Equal", inputs.early_stopping, [2]),
        nodes("Greater", inputs.length_penalty, [0.0]),
    )
    reachable = nodes("Where", hopes, inputs.max_length, now)
    best_running = nodes("Slice", state.scores, [0], [1], [1])  # [B, 1]
    best_running = _penalize(nodes, best_running, nodes("Sub", reachable, [1]), inputs)
    worst = nodes("ReduceMin", state.finished_scores, [1])  # [B, 1]
    worst = nodes("Where", state.is_finished, worst, _NEVER)
    improvable = _any(nodes, nodes("Greater", best_running, worst))
    improvable = nodes("Or", improvable, inputs.is_greedy)
    stops_early = nodes("Or", nodes("Equal", inputs.early_stopping, [1]), inputs.is_greedy)
    satisfied = nodes("And", _all(nodes, state.is_finished), stops_early)
    over = nodes("Or", nodes("Not", improvable), satisfied)
    return nodes("Or", state.done, nodes("Or", over, _all(nodes, found.ends)))


def read_out(
    nodes: Nodes, state: SearchState, inputs: SearchInputs, fixed: FixedSettings
) -> Outputs:
    """The best R finished rows, best first; those that stand for none come last, with length 0."""
    generated = nodes("Sub", state.finished_lengths, [1])
    log_probs = nodes("Mul", state.finished_scores, _divisor(nodes, generated, inputs))
    is_one = nodes("And", state.is_finished, nodes("GreaterOrEqual", log_probs, _NEVER / 2))
    real_first = nodes("Cast", is_one, to=_FLOAT)
    returned = inputs.num_return_sequences
    _, order = nodes.several("TopK", real_first, returned, count=2, axis=-1)  # [B, R]
    is_one = nodes("GatherElements", is_one, order, axis=1)
    lengths = nodes("GatherElements", generated, order, axis=1)
    lengths = nodes("Where", is_one, lengths, 0)
    scores = nodes("GatherElements", state.finished_scores, order, axis=1)
    longest = nodes("Reshape", nodes("ReduceMax", lengths, keepdims=0), [1])
    rows = _take_rows(nodes, state.finished_sequences, order, inputs.num_beams)
    rows = nodes("Slice", rows, [1], nodes("Add", longest, [1]), [1])  # [B*R, T]
    shape = nodes("Concat", nodes("Shape", order), longest, axis=0)
    rows = nodes("Reshape", rows, shape, allowzero=1)
    is_token = nodes("Less", _count(nodes, longest), nodes("Unsqueeze", lengths, [2]))
    return Outputs(
        sequences=nodes("Where", is_token, rows, fixed.pad),
        lengths=lengths,
        scores=nodes("Where", is_one, scores, float("-inf")),
    )


def _penalize(
    nodes: Nodes, scores: ir.Value, generated: ir.Value, inputs: SearchInputs
) -> ir.Value:
    return nodes("Div", scores, _divisor(nodes, generated, inputs))


def _divisor(nodes: Nodes, generated: ir.Value, inputs: SearchInputs) -> ir.Value:
    """generated tokens ** length_penalty, within float32: see `search.score.length_divisor`."""
    base = nodes("Cast", generated, to=_DOUBLE)
    power = nodes("Pow", base, nodes("Cast", inputs.length_penalty, to=_DOUBLE))
    least, most = (
        nodes("Cast", float(end), to=_DOUBLE) for end in (_FLOATS.smallest_subnormal, _FLOATS.max)
    )
    return nodes("Cast", nodes("Min", nodes("Max", power, least), most), to=_FLOAT)


def _take_joined(
    nodes: Nodes, finished: ir.Value, found: _Continuations, best: ir.Value, inputs: SearchInputs
) -> ir.Value:
    """Rows of the K finished [N, L + 1] and the C new ones [B*C, L + 1], by [B, K] -> [N, L + 1]"""

    def by_document(rows: ir.Value, count: ir.Value) -> ir.Value:  # [B*X, L + 1] -> [B, X, L + 1]
        return nodes(
            "Reshape", rows, nodes("Concat", [-1], count, nodes("Shape", rows, start=1), axis=0)
        )

    both = nodes(
        "Concat",
        by_document(finished, inputs.num_beams),
        by_document(found.sequences, found.count),
        axis=1,
    )
    width = nodes("Shape", both, start=2)
    flat = nodes("Reshape", both, nodes("Concat", [-1], width, axis=0))
    return _take_rows(nodes, flat, best, nodes("Add", inputs.num_beams, found.count))


def _take_rows(nodes: Nodes, rows: ir.Value, index: ir.Value, count: ir.Value) -> ir.Value:
    """Of each document's `count` rows in [B*X, L], those of index [B, Y] -> [B*Y, L]."""
    return nodes("Gather", rows, nodes("Reshape", _among_all(nodes, index, count), [-1]), axis=0)


def _among_all(nodes: Nodes, index: ir.Value, count: ir.Value) -> ir.Value:
    """Of a document's rows -> of all documents' rows, each of which has `count`."""
    documents = nodes("Shape", index, start=0, end=1)
    first = nodes("Mul", _count(nodes, documents), count)
    return nodes("Add", index, nodes("Unsqueeze", first, [1]))


def _count(nodes: Nodes, count: ir.Value) -> ir.Value:
    """0, 1, ... of so many [1]."""
    return nodes("Range", 0, nodes("Squeeze", count), 1)


def _any(nodes: Nodes, value: ir.Value) -> ir.Value:
    """[B, X] -> [B]; ONNX reduces no booleans before opset 20."""
    number = nodes("ReduceMax", nodes("Cast", value, to=_INT64), [1], keepdims=0)
    return nodes("Cast", number, to=_BOOL)


def _all(nodes: Nodes, value: ir.Value) -> ir.Value:
    """[B, X] -> [B]"""
    number = nodes("ReduceMin", nodes("Cast", value, to=_INT64), [1], keepdims=0)
    return nodes("Cast", number, to=_BOOL)
