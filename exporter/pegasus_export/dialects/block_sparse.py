"""Block-sparse attention in torch: exact, and linear in length.

The source is cut into N blocks. The first and the last block attend to every key. Each block i in
between attends to blocks 0, i-1, i, i+1 and N-1, each once, and to r "random" blocks. What those
are is the pattern:

- `hf-eval`: what transformers (from 4.30 on) computes in inference: block 0, r times over. Block 0
  is thus seen 1 + r times, which is to add log(1 + r) to its scores: five blocks of keys instead of
  5 + r, and no index.
- `seeded`: a fixed table of blocks per layer and head (`models/bigbird_pegasus.py`). Blocks of the
  table that lie beyond the end of a short source are not seen.

Keys that are padding are hidden, and rows that are padding come out as zero, as in transformers.

Dimensions: B batch, H heads, S source (a multiple of the block size b), N = S / b blocks,
M = N - 2 blocks in the middle, r random blocks, D model dim, Dh head dim.
Source: transformers, BigBirdPegasusBlockSparseAttention; Zaheer et al. 2020 (arXiv:2007.14062).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pegasus_engines.precision.passes.kernel_functions import DOMAIN, VERSION
from pegasus_export.dialects import standard

__all__ = [
    "FUNCTION_DOMAIN",
    "FUNCTION_NAME",
    "FUNCTION_VERSION",
    "SparsePattern",
    "attend_any_length",
    "attend_block_sparse",
    "split_blocks",
]

FUNCTION_DOMAIN = DOMAIN
FUNCTION_NAME = "BlockSparseAttention"
FUNCTION_VERSION = VERSION

_LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparsePattern:
    """Which keys a query sees; the sparse form is for sources over `longest_full` tokens."""

    block_size: int
    num_random_blocks: int
    longest_full: int
    random_blocks: Tensor | None = None
    """[H, M, r] int64, row i for query block i + 1, at least as many rows as any source has; None
    for pattern hf-eval."""


def attend_any_length(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    num_heads: int,
    pattern: SparsePattern,
) -> Tensor:
    """In full up to `longest_full` tokens, block-sparse above: what an encoder does.

    query, key, value [B, S, D], attention_mask [B, S] int64 -> [B, S, D]. Padding counts: it is the
    length of the padded batch that decides. transformers, once it has seen a short batch, stays
    with full attention for all that follow; here every call decides for itself.

    In a graph this is a call of the function that `passes/define_sparse_attention.py` defines.
    """
    if torch.compiler.is_exporting():
        tables = [] if pattern.random_blocks is None else [pattern.random_blocks]
        return torch.onnx.ops.symbolic(
            f"{FUNCTION_DOMAIN}::{FUNCTION_NAME}",
            [query, key, value, attention_mask, *tables],
            dtype=query.dtype,
            shape=query.shape,
            version=FUNCTION_VERSION,
        )
    if query.shape[1] > pattern.longest_full:
        return attend_block_sparse(query, key, value, attention_mask, num_heads, pattern)
    return standard.attend_padded(query, key, value, attention_mask, num_heads)


def attend_block_sparse(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    num_heads: int,
    pattern: SparsePattern,
) -> Tensor:
    """query, key, value [B, S, D], attention_mask [B, S] int64 -> [B, S, D]; S over 5 blocks."""
    length = query.shape[1]
    blocks = [split_blocks(x, pattern.block_size) for x in (query, key, value)]
    mask = split_blocks(attention_mask[:, :, None], pattern.block_size)[..., 0]  # [B, N, b]
    attended = _attend_blocks(blocks[0], blocks[1], blocks[2], mask, num_heads, pattern)
    return attended.flatten(1, 2)[:, :length]  # [B, N, b, D] -> [B, S, D]


def _attend_blocks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    num_heads: int,
    pattern: SparsePattern,
) -> Tensor:
    """query, key, value [B, N, b, D], attention_mask [B, N, b] int64 -> [B, N, b, D]."""
    queries, keys, values = (_split_heads(x, num_heads) for x in (query, key, value))
    bias = (1.0 - attention_mask.to(torch.float32)) * _LOWEST  # [B, N, b]
    ends = _attend_ends(queries, keys, values, bias)  # [B, H, 2, b, Dh]
    middle = _attend_middle(queries, keys, values, bias, pattern)  # [B, H, M, b, Dh]
    attended = torch.cat([ends[:, :, :1], middle, ends[:, :, 1:]], dim=2)  # [B, H, N, b, Dh]
    merged = attended.permute(0, 2, 3, 1, 4).flatten(3)  # [B, N, b, D]
    return merged * attention_mask[..., None].to(merged.dtype)


def split_blocks(hidden: Tensor, block_size: int) -> Tensor:
    """[B, S, D] -> [B, N, b, D], zeros behind the end."""
    missing = -hidden.shape[1] % block_size
    padded = torch.nn.functional.pad(hidden, (0, 0, 0, missing))
    return torch.unflatten(padded, 1, (-1, block_size))


def _split_heads(hidden: Tensor, num_heads: int) -> Tensor:
    """[B, N, b, D] -> [B, H, N, b, Dh]."""
    return torch.unflatten(hidden, 3, (num_heads, -1)).permute(0, 3, 1, 2, 4)


def _attend_ends(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """The first and the last block over all keys -> [B, H, 2, b, Dh]."""
    ends = torch.cat([queries[:, :, :1], queries[:, :, -1:]], dim=2)  # [B, H, 2, b, Dh]
    attended = standard.attend(
        ends.flatten(2, 3), keys.flatten(2, 3), values.flatten(2, 3), bias.flatten(1)[:, None, None]
    )
    return torch.unflatten(attended, 2, (2, -1))


def _attend_middle(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, pattern: SparsePattern
) -> Tensor:
    """Blocks 1 to N-2 over the blocks that each sees -> [B, H, M, b, Dh]."""
    seen_keys, seen_values = _seen_blocks(keys), _seen_blocks(values)  # [B, H, M, 5*b, Dh]
    seen_bias = _seen_bias(bias, pattern)[:, None, :, None]  # [B, 1, M, 1, 5*b]
    if pattern.random_blocks is not None:
        num_middle = keys.shape[2] - 2
        chosen = pattern.random_blocks[:, :num_middle].flatten(1)  # [H, M*r]
        inside = chosen.clamp(max=num_middle + 1)
        beyond = (chosen != inside).to(torch.float32)[..., None] * _LOWEST  # [H, M*r, 1]
        random_bias = torch.minimum(bias[:, inside], beyond)  # [B, H, M*r, b]
        random_bias = torch.unflatten(random_bias, 2, (num_middle, -1)).flatten(3)[:, :, :, None]
        seen_keys = torch.cat([seen_keys, _random_blocks(keys, inside)], dim=3)
        seen_values = torch.cat([seen_values, _random_blocks(values, inside)], dim=3)
        heads = keys.shape[1]
        seen_bias = torch.cat([seen_bias.expand(-1, heads, -1, -1, -1), random_bias], dim=-1)
    return standard.attend(queries[:, :, 1:-1], seen_keys, seen_values, seen_bias)


def _seen_blocks(blocks: Tensor) -> Tensor:
    """[B, H, N, b, Dh] -> first block, neighbours and last block of each, [B, H, M, 5*b, Dh]."""
    middle = blocks[:, :, 1:-1]
    first = blocks[:, :, :1].expand_as(middle)
    last = blocks[:, :, -1:].expand_as(middle)
    return torch.cat([first, blocks[:, :, :-2], middle, blocks[:, :, 2:], last], dim=3)


def _seen_bias(bias: Tensor, pattern: SparsePattern) -> Tensor:
    """[B, N, b] -> [B, M, 5*b]: a neighbour that is the first or last block is not seen twice."""
    middle = bias[:, 1:-1]
    first, last = bias[:, :1].expand_as(middle), bias[:, -1:].expand_as(middle)
    hidden = torch.full_like(bias[:, :1], _LOWEST)
    left = torch.cat([hidden, bias[:, 1:-2]], dim=1)
    right = torch.cat([bias[:, 2:-1], hidden], dim=1)
    if pattern.random_blocks is None:
        first = first + math.log(1 + pattern.num_random_blocks)
    return torch.cat([first, left, middle, right, last], dim=2)


def _random_blocks(blocks: Tensor, chosen: Tensor) -> Tensor:
    """[B, H, N, b, Dh] and [H, M*r] -> [B, H, M, r*b, Dh]."""
    heads = torch.arange(blocks.shape[1])[:, None]
    gathered = blocks[:, heads, chosen]  # [B, H, M*r, b, Dh]
    num_middle = blocks.shape[2] - 2
    return torch.unflatten(gathered, 2, (num_middle, -1)).flatten(3, 4)
