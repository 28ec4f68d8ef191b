"""Attention for TensorRT: plain operators, static shapes, and a cache in which nothing is moved.

The cache of a document holds, for every position, the keys of all its beams side by side. Every
beam attends to all of them, and a bias hides those that are not of its own history: beams that
change places change the bias, and no key. A step returns the keys of its own tokens only; whoever
runs it writes them behind those that are there, K neighbouring rows per head in one strided copy.
So neither the graph nor its caller ever copies a cache, on any version of TensorRT.

Which blocks the block-sparse encoder sees is an input too. Blocks in the middle of a short source
see every block, which is full attention; so one engine, whose weights are there once, serves all
lengths, without an If and without a shape that depends on data.

IKVCacheUpdate and TensorScatter (TensorRT 10.15) would let the engine do that one copy, and need
the cache to be an output too; without them an updated cache is a copied cache.

Everything here runs eagerly in torch as it is traced, and in ONNX Runtime as it is exported.

Dimensions: B batch, K beams, N = B*K rows, H heads, S source, T cache length, D model dim,
Dh head dim, b block size, N blocks of the source, M = N - 2 blocks in its middle.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_export.dialects import standard
from pegasus_export.dialects.block_sparse import (
    FUNCTION_DOMAIN,
    FUNCTION_NAME,
    FUNCTION_VERSION,
    SparsePattern,
)

__all__ = ["BeamCache", "SeenBlocks", "attend_seen_blocks", "attend_with_cache", "history_bias"]

_LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeamCache:
    """One layer's keys and values of the tokens before this step's."""

    key: Tensor
    """[B, H, T, K, Dh]."""
    value: Tensor
    """[B, H, T, K, Dh]."""
    bias: Tensor
    """[B, 1, K, T*K] from `history_bias`."""


def history_bias(indirection: Tensor) -> Tensor:
    """What hides from each beam the keys that are not of its history: [B, 1, K, T*K] float32.

    indirection [B, K, T] int32: the beam whose key of position t is beam k's; -1 for positions
    that nothing was written to yet.
    """
    beams = torch.arange(indirection.shape[1], dtype=torch.int32)
    is_hidden = indirection[:, :, :, None] != beams  # [B, K, T, K]
    bias = is_hidden.to(torch.float32) * _LOWEST
    return bias.flatten(2, 3)[:, None]  # [B, K, T, K] -> [B, 1, K, T*K]


def attend_with_cache(
    query: Tensor, key: Tensor, value: Tensor, cache: BeamCache, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Decoder self-attention of one new token per beam over that beam's past and itself.

    query, key, value [B, K, D] -> attended [B, K, D], and the new keys and values [B, H, K, Dh].
    """
    queries, new_key, new_value = (standard.split_heads(x, num_heads) for x in (query, key, value))
    queries = queries * queries.shape[-1] ** -0.5
    past_key, past_value = cache.key.flatten(2, 3), cache.value.flatten(2, 3)  # [B, H, T*K, Dh]
    past_scores = queries @ past_key.transpose(-1, -2) + cache.bias  # [B, H, K, T*K]
    own_score = (queries * new_key).sum(-1, keepdim=True)  # [B, H, K, 1]
    weights = torch.softmax(torch.cat([past_scores, own_score], dim=-1), dim=-1)
    attended = weights[..., :-1] @ past_value + weights[..., -1:] * new_value
    return standard.merge_heads(attended), new_key, new_value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeenBlocks:
    """Which blocks of keys the blocks in the middle see; the first and the last see all."""

    blocks: Tensor
    """[M, K] int64, row i for block i + 1."""
    bias: Tensor
    """[M, K] float32, added to the scores of a block's keys: hides what is there twice, and counts
    what is to count more than once."""
    last_random: Tensor | None
    """[1] int64: of a seeded pattern's table, the last block that is seen; -1 for none. None where
    the pattern has no table."""


def attend_seen_blocks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    num_heads: int,
    pattern: SparsePattern,
    seen: SeenBlocks,
) -> Tensor:
    """Encoder self-attention over whole blocks, three or more of them.

    query, key, value [B, N*b, D], attention_mask [B, N*b] int64 -> [B, N*b, D]. In a graph this is
    the call of a function, whose place a plugin can take.
    """
    if torch.compiler.is_exporting():
        table = [] if pattern.random_blocks is None else [seen.last_random, pattern.random_blocks]
        return torch.onnx.ops.symbolic(
            f"{FUNCTION_DOMAIN}::{FUNCTION_NAME}",
            [query, key, value, attention_mask, seen.blocks, seen.bias, *table],
            dtype=query.dtype,
            shape=query.shape,
            version=FUNCTION_VERSION,
        )
    bias = _token_bias(query.shape[1], num_heads, pattern, seen)  # [H, S, S]
    bias = (standard.padding_bias(attention_mask) + bias).clamp(min=_LOWEST)  # [B, H, S, S]
    heads = [standard.split_heads(x, num_heads) for x in (query, key, value)]
    attended = standard.merge_heads(standard.attend(heads[0], heads[1], heads[2], bias))
    return attended * attention_mask[:, :, None].to(attended.dtype)


def _token_bias(length: int, num_heads: int, pattern: SparsePattern, seen: SeenBlocks) -> Tensor:
    """What is added to every score [H, S, S]: blocks that are seen often count so often."""
    num_blocks = length // pattern.block_size
    times = torch.zeros(num_heads, num_blocks, num_blocks)
    times[:, [0, -1]] = 1
    middle = torch.zeros(num_blocks - 2, num_blocks).scatter_add_(1, seen.blocks, seen.bias.exp())
    times[:, 1:-1] = middle
    if pattern.random_blocks is not None and seen.last_random is not None:
        chosen = pattern.random_blocks[:, : num_blocks - 2]  # [H, M, r]
        is_seen = (chosen <= seen.last_random).to(torch.float32)
        times[:, 1:-1].scatter_add_(2, chosen.clamp(max=num_blocks - 1), is_seen)
    bias = times.log().clamp(min=_LOWEST)
    for axis in (1, 2):
        bias = bias.repeat_interleave(pattern.block_size, axis)
    return bias
