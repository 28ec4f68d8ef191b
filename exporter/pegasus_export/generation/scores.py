"""From a step's logits to the scores that the search chooses by, as ONNX nodes.

The order is that of transformers (see `pegasus_runtime.search.processors`): penalties, then bans,
which commute; a forced token overrides both. In beam search they see log-probabilities, in greedy
search logits.

Dimensions: N rows, L tokens that they have, V vocabulary, C candidates, M bans.
"""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from pegasus_export.dialects.nodes import Nodes
from pegasus_export.generation.fixed import FixedSettings
from pegasus_export.generation.inputs import SearchInputs

__all__ = ["Candidates", "rank_tokens"]

_END = np.iinfo(np.int64).max
_IMPOSSIBLE = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """The best tokens of each row, best first; of equal ones the lower id."""

    scores: ir.Value
    """[N, C] float32, by which they rank."""
    log_probs: ir.Value
    """[N, C] float32, what each adds to the sum of its row."""
    ids: ir.Value
    """[N, C] int64"""
    count: ir.Value
    """[1] int64: C."""


def rank_tokens(
    nodes: Nodes,
    logits: ir.Value,
    sequences: ir.Value,
    length: ir.Value,
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> Candidates:
    """logits [N, V], the rows so far [N, L], L as [1] -> what may follow each row."""
    log_probs = nodes("LogSoftmax", logits, axis=-1)
    scores = nodes("Where", inputs.is_greedy, logits, log_probs)
    scores = _penalize_repetition(nodes, scores, sequences, inputs)
    scores = _ban(nodes, scores, sequences, length, inputs, fixed)
    wanted = nodes("Mul", inputs.num_beams, [fixed.candidates_per_beam])
    count = nodes("Min", wanted, [fixed.vocab_size])
    best, ids = nodes.several("TopK", scores, count, count=2, axis=-1)
    own = nodes("GatherElements", log_probs, ids, axis=-1)
    summed = nodes("Where", inputs.is_greedy, own, best)
    found = Candidates(scores=best, log_probs=summed, ids=ids, count=count)
    if fixed.forced_bos is not None:
        found = _force(nodes, found, nodes("Equal", length, [1]), (fixed.forced_bos,), fixed)
    if fixed.forced_eos:
        is_last = nodes("Equal", nodes("Add", length, [1]), inputs.max_length)
        found = _force(nodes, found, is_last, fixed.forced_eos, fixed)
    return found


def _penalize_repetition(
    nodes: Nodes, scores: ir.Value, sequences: ir.Value, inputs: SearchInputs
) -> ir.Value:
    """Multiplies negative and divides positive scores of tokens that a row has."""
    seen = nodes("GatherElements", scores, sequences, axis=-1)
    penalty = inputs.repetition_penalty
    worse = nodes(
        "Where",
        nodes("Less", seen, 0.0),
        nodes("Mul", seen, penalty),
        nodes("Div", seen, penalty),
    )
    return nodes("ScatterElements", scores, sequences, worse, axis=-1)


def _ban(
    nodes: Nodes,
    scores: ir.Value,
    sequences: ir.Value,
    length: ir.Value,
    inputs: SearchInputs,
    fixed: FixedSettings,
) -> ir.Value:
    """Adds -inf to what may not follow: ngrams that a row has, an early EOS, and banned tokens."""
    rows = nodes("Shape", sequences, start=0, end=1)
    ids, added = _repeated_ngram_ends(nodes, sequences, length, inputs)
    is_short = nodes("Less", length, inputs.min_length)
    is_first = nodes("Equal", length, [fixed.first_length])
    for tokens, is_banned in (
        (fixed.eos, is_short),
        (fixed.banned, np.array([True])),
        (fixed.banned_first, is_first),
    ):
        if not tokens:
            continue
        shape = nodes("Concat", rows, [len(tokens)], axis=0)
        ban = nodes("Where", is_banned, _IMPOSSIBLE, 0.0)
        ids = nodes("Concat", ids, nodes("Expand", tokens, shape), axis=1)
        added = nodes("Concat", added, nodes("Expand", ban, shape), axis=1)
    return nodes("ScatterElements", scores, ids, added, axis=-1, reduction="add")


def _repeated_ngram_ends(
    nodes: Nodes, sequences: ir.Value, length: ir.Value, inputs: SearchInputs
) -> tuple[ir.Value, ir.Value]:
    """The token behind each of W windows of n - 1 tokens, and what is added to its score [N, W]:
    -inf where the window is how the row ends. Without n, and in short rows, there is no window.
    """
    size = inputs.no_repeat_ngram_size  # [1]: n
    before = nodes("Max", nodes("Sub", size, [1]), [0])  # n - 1
    before = nodes("Min", before, length)  # of more there is no window to be as long
    windows = nodes("Max", nodes("Sub", nodes("Add", length, [1]), size), [0])  # L + 1 - n
    windows = nodes("Where", nodes("Greater", size, [0]), windows, [0])
    within = nodes("Range", 0, nodes("Squeeze", before), 1)  # [n - 1]
    starts = nodes("Range", 0, nodes("Squeeze", windows), 1)  # [W]
    places = nodes("Add", nodes("Unsqueeze", starts, [1]), within)  # [W, n - 1]
    tokens = nodes("Gather", sequences, places, axis=1)  # [N, W, n - 1]
    end = nodes("Slice", sequences, nodes("Sub", length, before), [_END], [1])  # [N, n - 1]
    differs = nodes("Not", nodes("Equal", tokens, nodes("Unsqueeze", end, [1])))
    count = nodes("ReduceSum", nodes("Cast", differs, to=ir.DataType.INT64), [2], keepdims=0)
    repeats = nodes("Equal", count, 0)  # [N, W]
    ends = nodes("Gather", sequences, nodes("Add", starts, before), axis=1)  # [N, W]
    return ends, nodes("Where", repeats, _IMPOSSIBLE, 0.0)


def _force(
    nodes: Nodes,
    found: Candidates,
    is_forced: ir.Value,
    tokens: tuple[int, ...],
    fixed: FixedSettings,
) -> Candidates:
    """Puts the forced tokens first, at 0, and behind them the lowest other ids, impossible."""
    most = min(fixed.candidates_per_beam * fixed.max_beams, fixed.vocab_size)
    others = [token for token in range(most + len(tokens)) if token not in tokens]
    ids = [*tokens, *others][:most]
    scores = np.where(np.arange(most) < len(tokens), 0.0, _IMPOSSIBLE)
    ids_of_row = nodes("Slice", ids, [0], found.count)  # [C]
    scores_of_row = nodes("Slice", scores, [0], found.count)
    return Candidates(
        scores=nodes("Where", is_forced, scores_of_row, found.scores),
        log_probs=nodes("Where", is_forced, scores_of_row, found.log_probs),
        ids=nodes("Where", is_forced, ids_of_row, found.ids),
        count=found.count,
    )
