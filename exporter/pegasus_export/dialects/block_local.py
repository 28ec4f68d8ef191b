"""Block-local attention with global tokens: exact, and linear in length, in any dialect.

The source is cut into N blocks. A token sees the tokens of its own block and G global tokens, which
see each other and the whole source. In every other layer the blocks are staggered: the first is
half a block, so that what two neighbours do not see in one layer they see in the next.

All that differs from full attention is what lies beside what: blocks become documents of their own,
each with the global tokens before its keys, and the dialect attends to those in full. There is no
index and no gather. Keys that are padding are hidden; global tokens never are, so that a block of
nothing but padding is as finite as any. The last block is filled up here and nowhere else: what the
layers work on has the length of the source. A source that fits one block is one of its own length.

Dimensions: B batch, H heads, S source, b block size, N blocks, G global tokens, D model dim.
Source: transformers, PegasusXGlobalLocalAttention; Phang et al. 2022 (arXiv:2208.04347).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LocalPattern", "attend_block_local"]

_Attend = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
"""query [B, Q, D], key and value [B, K, D], mask over the keys [B, K], heads -> [B, Q, D]."""
_smaller: Callable[[int, int], int] = torch.sym_min  # which torch leaves untyped


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPattern:
    """What a token sees in one layer."""

    block_size: int
    num_global_tokens: int
    is_staggered: bool
    """Whether the first block is half of one."""


def attend_block_local(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    num_heads: int,
    pattern: LocalPattern,
    attend: _Attend,
) -> Tensor:
    """query, key, value [B*G + B*S, D], attention_mask [B, S] int64 -> [B*G + B*S, D].

    attend: a dialect's full attention over padding.
    """
    parts = (_split(x, attention_mask, pattern) for x in (query, key, value))
    (global_query, query), (global_key, key), (global_value, value) = parts
    global_mask = torch.ones_like(global_key[:, :, 0], dtype=torch.int64)  # [B, G]
    of_global = attend(
        global_query,
        torch.cat([global_key, key], dim=1),
        torch.cat([global_value, value], dim=1),
        torch.cat([global_mask, attention_mask], dim=1),
        num_heads,
    )
    of_blocks = attend(
        _cut(query, pattern).flatten(0, 1),  # [B, N, b, D] -> [B*N, b, D]
        _cut_behind(global_key, key, pattern),
        _cut_behind(global_value, value, pattern),
        _cut_behind(global_mask[:, :, None], attention_mask[:, :, None], pattern)[:, :, 0],
        num_heads,
    )
    batch, length = attention_mask.shape
    lead = _lead(length, pattern)
    of_tokens = torch.unflatten(of_blocks, 0, (batch, -1)).flatten(1, 2)[:, lead : lead + length]
    return torch.cat([of_global.flatten(0, 1), of_tokens.flatten(0, 1)])


def _split(hidden: Tensor, attention_mask: Tensor, pattern: LocalPattern) -> tuple[Tensor, Tensor]:
    """[B*G + B*S, D] -> [B, G, D] and [B, S, D]."""
    batch, length = attention_mask.shape
    count = batch * pattern.num_global_tokens
    return (
        torch.unflatten(hidden[:count], 0, (batch, pattern.num_global_tokens)),
        torch.unflatten(hidden[count:], 0, (batch, length)),
    )


def _cut_behind(of_global: Tensor, of_tokens: Tensor, pattern: LocalPattern) -> Tensor:
    """[B, G, D] and [B, S, D] -> [B*N, G + b, D]: every block, and the global tokens before it."""
    blocks = _cut(of_tokens, pattern)
    repeated = of_global[:, None].expand(-1, blocks.shape[1], -1, -1)  # [B, N, G, D]
    return torch.cat([repeated, blocks], dim=2).flatten(0, 1)


def _cut(hidden: Tensor, pattern: LocalPattern) -> Tensor:
    """[B, S, D] -> [B, N, b, D], zeros behind the end, and before the start where staggered."""
    length = hidden.shape[1]
    lead = _lead(length, pattern)
    size = _smaller(pattern.block_size, lead + length)  # of a short source, all of it
    num_blocks = (lead + length + size - 1) // size
    behind = num_blocks * size - lead - length
    padded = torch.nn.functional.pad(hidden, (0, 0, lead, behind))
    return torch.unflatten(padded, 1, (num_blocks, size))


def _lead(length: int, pattern: LocalPattern) -> int:
    """How far blocks are shifted: by half of one, if the source is longer than that."""
    half = pattern.block_size // 2 if pattern.is_staggered else 0
    return half * _smaller(1, length // (half + 1))
