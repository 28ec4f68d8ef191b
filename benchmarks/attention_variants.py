"""Ways to compute block-sparse attention in ONNX Runtime, besides those that bundles have.

All are of one document whose length is a multiple of the block size, pattern hf-eval. They take
and give the same as `pegasus_export.dialects.block_sparse_nodes`, but have the length built in:
they are here to be measured.

Dimensions: B = 1, H heads, S source, b block size, N blocks, M = N - 2 blocks in the middle,
t query blocks a tile, D model dim, Dh head dim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.block_sparse_nodes import (
    STANDARD,
    AttentionInputs,
    Heads,
    attend_blocks,
)
from pegasus_export.dialects.nodes import MICROSOFT, Nodes
from pegasus_export.dialects.ort_block_sparse import ORT

__all__ = ["VARIANTS", "AttentionSize", "Variant"]

_LOWEST = float(np.finfo(np.float32).min)
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSize:
    """One layer's attention over one document."""

    tokens: int
    heads: Heads
    pattern: SparsePattern

    @property
    def blocks(self) -> int:
        """N."""
        return self.tokens // self.pattern.block_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way: its nodes, and what it is."""

    attend: Callable[[Nodes, AttentionInputs, AttentionSize], ir.Value]
    what: str
    opset: int = 18
    is_sparse: bool = True


def _full(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
    return ORT.attend_full(nodes, inputs, size.heads)


def _standard(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
    return attend_blocks(nodes, inputs, size.heads, size.pattern, STANDARD)


def _ort(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
    return attend_blocks(nodes, inputs, size.heads, size.pattern, ORT)


def _folded(tile: int) -> Callable[[Nodes, AttentionInputs, AttentionSize], ir.Value]:
    """Tiles as documents of a batch, attended to by the fused operator, with a bias."""

    def attend(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
        query, key, value, bias = _gathered_tiles(nodes, inputs, size, tile)
        middle = nodes(
            "MultiHeadAttention",
            *(query, key, value, None, None, bias),
            domain=MICROSOFT,
            num_heads=size.heads.count,
        )
        mask = nodes("Cast", inputs.attention_mask, to=ir.DataType.INT32.value)
        ends = nodes(
            "MultiHeadAttention",
            *(_ends(nodes, inputs.query, size), inputs.key, inputs.value, None, mask),
            domain=MICROSOFT,
            num_heads=size.heads.count,
            mask_filter_value=_LOWEST,
        )
        return _joined(nodes, middle, ends, inputs, size)

    return attend


def _attention_23(tile: int) -> Callable[[Nodes, AttentionInputs, AttentionSize], ir.Value]:
    """The same with ONNX's own operator."""

    def attend(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
        heads = {"q_num_heads": size.heads.count, "kv_num_heads": size.heads.count}
        query, key, value, bias = _gathered_tiles(nodes, inputs, size, tile)
        middle = nodes("Attention", query, key, value, bias, **heads)
        rows = [1, 1, 2 * size.pattern.block_size, size.tokens]
        bias = nodes("Expand", nodes("Unsqueeze", _key_bias(nodes, inputs), [1, 2]), rows)
        ends = _ends(nodes, inputs.query, size)
        ends = nodes("Attention", ends, inputs.key, inputs.value, bias, **heads)
        return _joined(nodes, middle, ends, inputs, size)

    return attend


def _dense_globals(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
    """Keys of the first and the last block are not copied; all scores go through one softmax."""
    parts = _window_and_globals(nodes, inputs, size)
    scores = nodes("Concat", parts.window_scores, parts.global_scores, axis=3)
    weights = nodes("Softmax", scores, axis=-1)  # [H, M, b, 5*b]
    split = 3 * size.pattern.block_size
    of_window = nodes("MatMul", nodes("Slice", weights, [0], [split], [3]), parts.window_values)
    of_globals = nodes("Slice", weights, [split], [_END], [3])
    dense = nodes("Reshape", of_globals, [0, -1, 2 * size.pattern.block_size])
    dense = nodes("MatMul", dense, parts.global_values)  # [H, M*b, Dh]
    middle = nodes("Add", nodes("Reshape", of_window, [0, -1, size.heads.dim]), dense)
    return _joined_heads(nodes, middle, inputs, size)


def _log_sum_exp(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> ir.Value:
    """Two softmaxes, merged by their log-sum-exps, so that no scores are put together."""
    parts = _window_and_globals(nodes, inputs, size)
    dims = [size.heads.count, (size.blocks - 2) * size.pattern.block_size, -1]
    window = nodes("Reshape", parts.window_scores, dims)
    dense = nodes("Reshape", parts.global_scores, dims)
    window_sum = nodes("ReduceLogSumExp", window, [-1], keepdims=1)
    dense_sum = nodes("ReduceLogSumExp", dense, [-1], keepdims=1)
    share = nodes("Sigmoid", nodes("Sub", dense_sum, window_sum))  # [H, M*b, 1]
    of_window = nodes("MatMul", nodes("Softmax", parts.window_scores, axis=-1), parts.window_values)
    of_window = nodes("Reshape", of_window, [0, -1, size.heads.dim])
    of_globals = nodes("MatMul", nodes("Softmax", dense, axis=-1), parts.global_values)
    difference = nodes("Sub", of_globals, of_window)
    middle = nodes("Add", of_window, nodes("Mul", share, difference))
    return _joined_heads(nodes, middle, inputs, size)


VARIANTS: Mapping[str, Variant] = {
    "full": Variant(attend=_full, what="MultiHeadAttention over everything", is_sparse=False),
    "naive": Variant(attend=_folded(1), what="blocks folded into the batch, MultiHeadAttention"),
    "naive, tiles of 2": Variant(attend=_folded(2), what="the same, two query blocks a tile"),
    "dense globals": Variant(attend=_dense_globals, what="global keys not copied, one softmax"),
    "log-sum-exp": Variant(attend=_log_sum_exp, what="global keys not copied, merged softmaxes"),
    "Attention-23": Variant(attend=_attention_23(1), what="ONNX's operator of opset 23", opset=23),
    "Attention-23, tiles of 2": Variant(
        attend=_attention_23(2), what="the same, two query blocks a tile", opset=23
    ),
    "standard": Variant(attend=_standard, what="what target onnx has"),
    "ort": Variant(attend=_ort, what="what target ort has"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The window of three blocks and the two global ones, apart; scores have their bias."""

    window_scores: ir.Value
    """[H, M, b, 3*b]."""
    window_values: ir.Value
    """[H, M, 3*b, Dh]."""
    global_scores: ir.Value
    """[H, M, b, 2*b]."""
    global_values: ir.Value
    """[H, 2*b, Dh]."""


def _window_and_globals(nodes: Nodes, inputs: AttentionInputs, size: AttentionSize) -> _Parts:
    block_size, middle = size.pattern.block_size, size.blocks - 2
    query, key, value = (_by_head(nodes, x, size) for x in _qkv(inputs))
    window = np.arange(middle)[:, None] + np.arange(3)  # [M, 3]

    def neighbours(blocks: ir.Value) -> ir.Value:
        gathered = nodes("Gather", blocks, window, axis=1)  # [H, M, 3, b, Dh]
        return nodes("Reshape", gathered, [0, 0, -1, size.heads.dim])

    def both_ends(blocks: ir.Value) -> ir.Value:
        gathered = nodes("Gather", blocks, np.array([0, size.blocks - 1]), axis=1)
        return nodes("Reshape", gathered, [0, -1, size.heads.dim])  # [H, 2*b, Dh]

    def scores(queries: ir.Value, keys: ir.Value) -> ir.Value:
        scale = size.heads.scale
        return nodes("FusedMatMul", queries, keys, domain=MICROSOFT, transB=1, alpha=scale)

    pattern = _tile_pattern(size, 1)[:, :1]  # [M, 1, 5*b]
    hidden = nodes("Reshape", _key_bias(nodes, inputs), [-1, block_size])  # [N, b]
    window_bias = nodes("Reshape", nodes("Gather", hidden, window, axis=0), [middle, 1, -1])
    ends_bias = nodes("Gather", hidden, np.array([0, size.blocks - 1]), axis=0)
    ends_bias = nodes("Reshape", ends_bias, [1, 1, -1])
    ends_pattern = np.concatenate([pattern[..., :block_size], pattern[..., -block_size:]], axis=2)
    queries = nodes("Slice", query, [1], [-1], [1])  # [H, M, b, Dh]
    dense = scores(nodes("Reshape", queries, [0, -1, size.heads.dim]), both_ends(key))
    dense = nodes("Reshape", dense, [0, middle, block_size, -1])
    own_pattern = nodes("Add", window_bias, pattern[..., block_size:-block_size])
    return _Parts(
        window_scores=nodes("Add", scores(queries, neighbours(key)), own_pattern),
        window_values=neighbours(value),
        global_scores=nodes("Add", dense, nodes("Add", ends_bias, ends_pattern)),
        global_values=both_ends(value),
    )


def _gathered_tiles(
    nodes: Nodes, inputs: AttentionInputs, size: AttentionSize, tile: int
) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
    """query [M/t, t*b, D], key and value [M/t, (t+4)*b, D], bias [M/t, 1, t*b, (t+4)*b]."""
    count, block_size = (size.blocks - 2) // tile, size.pattern.block_size
    starts = np.arange(count)[:, None] * tile
    seen = np.concatenate(
        [starts * 0, starts + np.arange(tile + 2), starts * 0 + size.blocks - 1], axis=1
    )

    def gather(hidden: ir.Value) -> ir.Value:
        blocks = nodes("Reshape", hidden, [size.blocks, block_size, -1])
        return nodes(
            "Reshape", nodes("Gather", blocks, seen, axis=0), [count, seen[0].size * block_size, -1]
        )

    queries = nodes("Slice", inputs.query, [block_size], [-block_size], [1])
    hidden = nodes("Reshape", _key_bias(nodes, inputs), [size.blocks, block_size])
    key_bias = nodes("Reshape", nodes("Gather", hidden, seen, axis=0), [count, 1, -1])
    bias = nodes("Max", nodes("Add", key_bias, _tile_pattern(size, tile)), _LOWEST)
    return (
        nodes("Reshape", queries, [count, tile * block_size, -1]),
        gather(inputs.key),
        gather(inputs.value),
        nodes("Unsqueeze", bias, [1]),
    )


def _tile_pattern(size: AttentionSize, tile: int) -> npt.NDArray[np.float32]:
    """[M/t, t*b, (t+4)*b]: which of a tile's keys each of its queries sees, and how often."""
    count = (size.blocks - 2) // tile
    pattern = np.full((count, tile, tile + 4), _LOWEST, np.float32)
    for row in range(tile):
        pattern[:, row, row + 1 : row + 4] = 0
    pattern[0, :, 1] = pattern[-1, :, -2] = _LOWEST  # they are the first and the last block
    pattern[:, :, 0] = np.log1p(size.pattern.num_random_blocks)
    pattern[:, :, -1] = 0
    block_size = size.pattern.block_size
    return pattern.repeat(block_size, axis=1).repeat(block_size, axis=2)


def _qkv(inputs: AttentionInputs) -> tuple[ir.Value, ir.Value, ir.Value]:
    return inputs.query, inputs.key, inputs.value


def _by_head(nodes: Nodes, hidden: ir.Value, size: AttentionSize) -> ir.Value:
    """[1, S, D] -> [H, N, b, Dh]."""
    dims = [size.blocks, size.pattern.block_size, size.heads.count, size.heads.dim]
    return nodes("Transpose", nodes("Reshape", hidden, dims), perm=[2, 0, 1, 3])


def _key_bias(nodes: Nodes, inputs: AttentionInputs) -> ir.Value:
    """[1, S], the lowest number where there is padding."""
    tokens = nodes("Cast", inputs.attention_mask, to=ir.DataType.FLOAT.value)
    return nodes("Mul", nodes("Sub", 1.0, tokens), _LOWEST)


def _ends(nodes: Nodes, hidden: ir.Value, size: AttentionSize) -> ir.Value:
    """The first and the last block of [1, S, D] -> [1, 2*b, D]."""
    block_size = size.pattern.block_size
    first = nodes("Slice", hidden, [0], [block_size], [1])
    return nodes("Concat", first, nodes("Slice", hidden, [-block_size], [_END], [1]), axis=1)


def _joined(
    nodes: Nodes,
    middle: ir.Value,
    ends: ir.Value,
    inputs: AttentionInputs,
    size: AttentionSize,
) -> ir.Value:
    """The middle, of any shape, between the ends [1, 2*b, D] -> [1, S, D], zero where padded."""
    block_size = size.pattern.block_size
    first = nodes("Slice", ends, [0], [block_size], [1])
    middle = nodes("Reshape", middle, [1, -1, size.heads.count * size.heads.dim])
    last = nodes("Slice", ends, [block_size], [_END], [1])
    tokens = nodes("Cast", inputs.attention_mask, to=ir.DataType.FLOAT.value)
    joined = nodes("Concat", first, middle, last, axis=1)
    return nodes("Mul", joined, nodes("Unsqueeze", tokens, [2]))


def _joined_heads(
    nodes: Nodes, middle: ir.Value, inputs: AttentionInputs, size: AttentionSize
) -> ir.Value:
    """The middle [H, M*b, Dh], and the ends, which it makes -> [1, S, D]."""
    split = [1, -1, size.heads.count, size.heads.dim]
    queries, keys, values = (
        nodes("Transpose", nodes("Reshape", hidden, split), perm=[0, 2, 1, 3])
        for hidden in (_ends(nodes, inputs.query, size), inputs.key, inputs.value)
    )
    scores = ORT.dense_scores(nodes, queries, keys, size.heads)
    scores = nodes("Add", scores, nodes("Unsqueeze", _key_bias(nodes, inputs), [1, 2]))
    ends = nodes("MatMul", nodes("Softmax", scores, axis=-1), values)  # [1, H, 2*b, Dh]
    ends = nodes("Transpose", ends, perm=[0, 2, 1, 3])
    ends = nodes("Reshape", ends, [1, -1, size.heads.count * size.heads.dim])
    return _joined(nodes, nodes("Transpose", middle, perm=[1, 0, 2]), ends, inputs, size)
