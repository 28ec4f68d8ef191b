"""Block-sparse attention as ONNX nodes: what dialects share, and the standard operators' part.

The pattern is that of `block_sparse.py`. Every block in the middle gathers the blocks that it
sees, so that its scores and what it attends to are one product each; the first and the last block
are one product over all keys. No shape depends on what was traced, and none has the source twice.

Dimensions: B batch, H heads, S source, b block size, N blocks, M = N - 2 blocks in the middle,
K blocks seen (5, more where they are given, and r with a table), r random blocks, D model dim,
Dh head dim.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.nodes import Nodes

__all__ = [
    "STANDARD",
    "AttentionInputs",
    "AttentionNodes",
    "GivenPattern",
    "Heads",
    "SeenBlocks",
    "attend_any_length",
    "attend_block_sparse",
    "attend_blocks",
]

_LOWEST = float(np.finfo(np.float32).min)
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """How the model dim is divided."""

    count: int
    dim: int

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return float(self.dim**-0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenPattern:
    """What blocks in the middle see, where that is an input; see `dialects/trt.py`."""

    blocks: ir.Value
    """[M, K] int64."""
    bias: ir.Value
    """[M, K] float32: what is added to the scores of a block's keys."""
    last_random: ir.Value | None
    """[1] int64: the last block of a table that is seen, if there is one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionInputs:
    """What attention is given."""

    query: ir.Value
    """[B, S, D] float32, as are key and value."""
    key: ir.Value
    value: ir.Value
    attention_mask: ir.Value
    """[B, S] int64."""
    random_blocks: ir.Value | None
    """[H, rows, r] int64, at least M rows; None for pattern hf-eval."""
    given: GivenPattern | None = None
    """None where the graph works it out from the length."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenBlocks:
    """Which blocks each block in the middle sees."""

    count: ir.Value
    """[1] int64: N."""
    regular: ir.Value
    """[M, 5] int64: the first, the left, itself, the right, the last; some of them twice. Or those
    given, [M, K]."""
    random: ir.Value | None
    """[H, M, r] int64: of a table, those beyond the source replaced by its last."""
    is_beyond: ir.Value | None
    """[H, M, r] bool: which those are."""

    def gather(self, nodes: Nodes, blocks: ir.Value, heads: Heads, shape: list[int]) -> ir.Value:
        """blocks [B, H, N, *shape] -> [B, H, M, K, *shape]."""
        regular = nodes("Gather", blocks, self.regular, axis=2)
        if self.random is None:
            return regular
        of_all_heads = nodes("Reshape", blocks, [0, -1, *shape])  # [B, H*N, *shape]
        start = nodes("Mul", np.arange(heads.count)[:, None, None], self.count)
        index = nodes("Add", self.random, start)
        return nodes("Concat", regular, nodes("Gather", of_all_heads, index, axis=1), axis=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionNodes:
    """A dialect: what it does in operators of its own."""

    attend_full: Callable[[Nodes, AttentionInputs, Heads], ir.Value]
    """-> [B, S, D]; every query sees every key that is no padding."""
    dense_scores: Callable[[Nodes, ir.Value, ir.Value, Heads], ir.Value]
    """query [B, H, Q, Dh], key [B, H, S, Dh] -> scaled scores [B, H, Q, S]."""
    seen_scores: Callable[[Nodes, ir.Value, ir.Value, SeenBlocks, Heads, int], ir.Value]
    """query [B, H, M, b, Dh], key [B, H, N, b, Dh], b -> scaled scores [B, H, M, b, K*b]."""


def attend_any_length(
    nodes: Nodes,
    inputs: AttentionInputs,
    heads: Heads,
    pattern: SparsePattern,
    dialect: AttentionNodes,
    opset: int,
) -> ir.Value:
    """-> [B, S, D]: an If, full attention up to `longest_full` tokens, block-sparse above; there, a
    second If spares a source of whole blocks the padding."""

    def branch(name: str, attend: Callable[[Nodes], ir.Value]) -> ir.Graph:
        inner = Nodes()
        return inner.graph(name, [], [attend(inner)], opset)

    def attend_sparse(nodes: Nodes) -> ir.Value:
        last = nodes("Mod", nodes("Shape", inputs.query, start=1, end=2), [pattern.block_size])
        arguments = inputs, heads, pattern, dialect
        whole = branch("whole_blocks", lambda nodes: attend_blocks(nodes, *arguments))
        padded = branch("padded", lambda nodes: attend_block_sparse(nodes, *arguments))
        is_whole = nodes("Equal", last, [0])
        return nodes("If", is_whole, then_branch=whole, else_branch=padded)

    sparse = branch("block_sparse", attend_sparse)
    full = branch("full", lambda nodes: dialect.attend_full(nodes, inputs, heads))
    length = nodes("Shape", inputs.query, start=1, end=2)
    is_long = nodes("Greater", length, [pattern.longest_full])
    return nodes("If", is_long, then_branch=sparse, else_branch=full)


def attend_block_sparse(
    nodes: Nodes,
    inputs: AttentionInputs,
    heads: Heads,
    pattern: SparsePattern,
    dialect: AttentionNodes,
) -> ir.Value:
    """-> [B, S, D], zero where the mask is; S any length above 5 blocks."""
    length = nodes("Shape", inputs.query, start=1, end=2)
    missing = nodes("Mod", nodes("Neg", length), [pattern.block_size])
    attended = attend_blocks(nodes, _pad(nodes, inputs, missing), heads, pattern, dialect)
    return nodes("Slice", attended, [0], length, [1])


def _pad(nodes: Nodes, inputs: AttentionInputs, missing: ir.Value) -> AttentionInputs:
    """Padding behind the end, `missing` [1] tokens."""
    pads = nodes("Concat", [0, 0, 0, 0], missing, [0], axis=0)
    mask_pads = nodes("Concat", [0, 0, 0], missing, axis=0)
    return AttentionInputs(
        query=nodes("Pad", inputs.query, pads),
        key=nodes("Pad", inputs.key, pads),
        value=nodes("Pad", inputs.value, pads),
        attention_mask=nodes("Pad", inputs.attention_mask, mask_pads),
        random_blocks=inputs.random_blocks,
        given=inputs.given,
    )


def attend_blocks(
    nodes: Nodes,
    inputs: AttentionInputs,
    heads: Heads,
    pattern: SparsePattern,
    dialect: AttentionNodes,
) -> ir.Value:
    """The same where S is a multiple of the block size, which spares four copies."""
    block_size = pattern.block_size

    def split_blocks(hidden: ir.Value) -> ir.Value:
        blocks = nodes("Reshape", hidden, [0, -1, block_size, heads.count, heads.dim])
        return nodes("Transpose", blocks, perm=[0, 3, 1, 2, 4])  # [B, H, N, b, Dh]

    query, key, value = map(split_blocks, (inputs.query, inputs.key, inputs.value))
    tokens = nodes("Cast", inputs.attention_mask, to=ir.DataType.FLOAT.value)
    hidden_keys = nodes("Sub", 1.0, tokens)
    bias = nodes("Reshape", nodes("Mul", hidden_keys, _LOWEST), [0, -1, block_size])  # [B, N, b]
    seen = _seen_blocks(nodes, bias, inputs)

    first, last = _attend_ends(nodes, query, key, value, bias, heads, dialect)
    scores = dialect.seen_scores(
        nodes, nodes("Slice", query, [1], [-1], [2]), key, seen, heads, block_size
    )
    if inputs.given is None:
        regular = _regular_bias(nodes, bias, seen, pattern)
    else:
        given = nodes("Unsqueeze", inputs.given.bias, [2])  # [M, K, 1]
        regular = nodes("Add", nodes("Gather", bias, seen.regular, axis=1), given)
    scores = nodes("Add", scores, _seen_bias(nodes, bias, regular, seen, heads))
    values = seen.gather(nodes, value, heads, [block_size, heads.dim])
    values = nodes("Reshape", values, [0, 0, 0, -1, heads.dim])  # [B, H, M, K*b, Dh]
    middle = nodes("MatMul", nodes("Softmax", scores, axis=-1), values)  # [B, H, M, b, Dh]

    attended = nodes("Concat", first, middle, last, axis=2)  # [B, H, N, b, Dh]
    merged = nodes("Transpose", attended, perm=[0, 2, 3, 1, 4])
    hidden = nodes("Reshape", merged, [0, -1, heads.count * heads.dim])  # [B, S, D]
    return nodes("Mul", hidden, nodes("Unsqueeze", tokens, [2]))


def _seen_blocks(nodes: Nodes, bias: ir.Value, inputs: AttentionInputs) -> SeenBlocks:
    count = nodes("Shape", bias, start=1, end=2)
    num_middle, last = nodes("Sub", count, [2]), nodes("Sub", count, [1])
    if inputs.given is None:
        rows = nodes("Range", 0, nodes("Squeeze", num_middle), 1)  # row i is of block i + 1
        offsets = nodes("Mul", nodes("Unsqueeze", rows, [1]), [0, 1, 1, 1, 0])
        offsets = nodes("Add", offsets, [0, 0, 1, 2, 0])
        regular = nodes("Add", offsets, nodes("Mul", last, [0, 0, 0, 0, 1]))
        last_random: ir.Value | None = last
    else:
        regular, last_random = inputs.given.blocks, inputs.given.last_random
    if inputs.random_blocks is None or last_random is None:
        return SeenBlocks(count=count, regular=regular, random=None, is_beyond=None)
    chosen = nodes("Slice", inputs.random_blocks, [0], num_middle, [1])
    return SeenBlocks(
        count=count,
        regular=regular,
        random=nodes("Min", chosen, last),
        is_beyond=nodes("Greater", chosen, last_random),
    )


def _regular_bias(
    nodes: Nodes, bias: ir.Value, seen: SeenBlocks, pattern: SparsePattern
) -> ir.Value:
    """bias [B, N, b] -> [B, M, 5, b]: no block is seen twice but by a table."""
    last = nodes("Sub", seen.count, [1])
    is_end = nodes("Or", nodes("Equal", seen.regular, 0), nodes("Equal", seen.regular, last))
    is_twice = nodes("And", is_end, np.array([False, True, False, True, False]))  # [M, 5]
    times = np.ones((5, 1), np.float32)
    if seen.random is None:
        times[0] += pattern.num_random_blocks  # see block_sparse.py
    regular = nodes("Add", nodes("Gather", bias, seen.regular, axis=1), np.log(times))
    return nodes("Where", nodes("Unsqueeze", is_twice, [2]), _LOWEST, regular)


def _seen_bias(
    nodes: Nodes, bias: ir.Value, regular: ir.Value, seen: SeenBlocks, heads: Heads
) -> ir.Value:
    """bias [B, N, b], that of regular blocks [B, M, 5, b] -> [B, 1 or H, M, 1, K*b]."""
    every = nodes("Unsqueeze", regular, [1])  # [B, 1, M, 5, b]
    if seen.random is not None:
        random = nodes("Gather", bias, seen.random, axis=1)  # [B, H, M, r, b]
        random = nodes("Where", nodes("Unsqueeze", seen.is_beyond, [3]), _LOWEST, random)
        of_all_heads = nodes("Expand", every, [1, heads.count, 1, 1, 1])
        every = nodes("Concat", of_all_heads, random, axis=3)
    return nodes("Reshape", every, [0, 0, 0, 1, -1])


def _attend_ends(
    nodes: Nodes,
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    bias: ir.Value,
    heads: Heads,
    dialect: AttentionNodes,
) -> tuple[ir.Value, ir.Value]:
    """The first and the last block over all keys -> [B, H, 1, b, Dh] of each."""
    first, last = nodes("Slice", query, [0], [1], [2]), nodes("Slice", query, [-1], [_END], [2])
    queries, keys, values = (
        nodes("Reshape", blocks, [0, 0, -1, heads.dim])
        for blocks in (nodes("Concat", first, last, axis=2), key, value)
    )
    scores = dialect.dense_scores(nodes, queries, keys, heads)  # [B, H, 2*b, N*b]
    scores = nodes("Add", scores, nodes("Reshape", bias, [0, 1, 1, -1]))
    attended = nodes("MatMul", nodes("Softmax", scores, axis=-1), values)
    ends = nodes("Reshape", attended, [0, 0, 2, -1, heads.dim])
    return nodes("Slice", ends, [0], [1], [2]), nodes("Slice", ends, [1], [2], [2])


def _attend_full(nodes: Nodes, inputs: AttentionInputs, heads: Heads) -> ir.Value:
    split = [
        nodes(
            "Transpose",
            nodes("Reshape", hidden, [0, 0, heads.count, heads.dim]),
            perm=[0, 2, 1, 3],
        )
        for hidden in (inputs.query, inputs.key, inputs.value)
    ]  # [B, H, S, Dh]
    tokens = nodes("Cast", inputs.attention_mask, to=ir.DataType.FLOAT.value)
    bias = nodes("Mul", nodes("Sub", 1.0, tokens), _LOWEST)
    scores = _dense_scores(nodes, split[0], split[1], heads)
    scores = nodes("Add", scores, nodes("Unsqueeze", bias, [1, 2]))
    attended = nodes("MatMul", nodes("Softmax", scores, axis=-1), split[2])
    merged = nodes("Transpose", attended, perm=[0, 2, 1, 3])
    return nodes("Reshape", merged, [0, 0, heads.count * heads.dim])


def _dense_scores(nodes: Nodes, query: ir.Value, key: ir.Value, heads: Heads) -> ir.Value:
    scaled = nodes("Mul", query, heads.scale)
    return nodes("MatMul", scaled, nodes("Transpose", key, perm=[0, 1, 3, 2]))


def _seen_scores(
    nodes: Nodes,
    query: ir.Value,
    key: ir.Value,
    seen: SeenBlocks,
    heads: Heads,
    block_size: int,
) -> ir.Value:
    """The keys are transposed before they are gathered, K times fewer of them."""
    transposed = nodes("Transpose", key, perm=[0, 1, 2, 4, 3])  # [B, H, N, Dh, b]
    blocks = seen.gather(nodes, transposed, heads, [heads.dim, block_size])
    side_by_side = nodes("Transpose", blocks, perm=[0, 1, 2, 4, 3, 5])  # [B, H, M, Dh, K, b]
    keys = nodes("Reshape", side_by_side, [0, 0, 0, heads.dim, -1])
    return nodes("MatMul", nodes("Mul", query, heads.scale), keys)


STANDARD = AttentionNodes(
    attend_full=_attend_full, dense_scores=_dense_scores, seen_scores=_seen_scores
)
"""Standard operators, opset 18."""
