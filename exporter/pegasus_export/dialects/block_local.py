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

__all__ = ["LocalBlocks", "LocalPattern", "attend_block_local", "cut_source"]

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalBlocks:
    """A source cut into blocks: the same for all layers of one pattern, so computed once for them.

    Sizes are symbols while a graph is traced.
    """

    num_global_tokens: int
    length: int
    lead: int
    """Places before the first token: half a block where staggered."""
    size: int
    """Of a block: of a short source, all of it."""
    count: int
    behind: int
    """Places behind the last token."""
    attention_mask: Tensor
    """[B, S]."""
    global_mask: Tensor
    """[B, G], ones."""
    block_mask: Tensor
    """[B*N, G + b]: every block's, behind the global tokens'."""

    def cut(self, hidden: Tensor) -> Tensor:
        """[B, S, D] -> [B, N, b, D], zeros behind the end, and before the start where staggered."""
        return _cut(hidden, self.lead, self.behind, self.count, self.size)

    def cut_behind(self, of_global: Tensor, of_tokens: Tensor) -> Tensor:
        """[B, G, D] and [B, S, D] -> [B*N, G + b, D]: every block, global tokens before it."""
        return _behind(of_global, self.cut(of_tokens))


def cut_source(attention_mask: Tensor, pattern: LocalPattern) -> LocalBlocks:
    """attention_mask: [B, S] int64."""
    length = attention_mask.shape[1]
    half = pattern.block_size // 2 if pattern.is_staggered else 0
    lead = half * _smaller(1, length // (half + 1))  # if the source is longer than that
    size = _smaller(pattern.block_size, lead + length)
    count = (lead + length + size - 1) // size
    behind = count * size - lead - length
    rows = attention_mask.new_ones([1, pattern.num_global_tokens])
    global_mask = rows.expand(attention_mask.shape[0], -1)
    blocks = _cut(attention_mask[:, :, None], lead, behind, count, size)
    return LocalBlocks(
        num_global_tokens=pattern.num_global_tokens,
        length=length,
        lead=lead,
        size=size,
        count=count,
        behind=behind,
        attention_mask=attention_mask,
        global_mask=global_mask,
        block_mask=_behind(global_mask[:, :, None], blocks)[:, :, 0],
    )


def attend_block_local(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    blocks: LocalBlocks,
    attend: _Attend,
) -> Tensor:
    """query, key, value [B*G + B*S, D] -> [B*G + B*S, D].

    attend: a dialect's full attention over padding.
    """
    parts = (_split(x, blocks) for x in (query, key, value))
    (global_query, query), (global_key, key), (global_value, value) = parts
    of_global = attend(
        global_query,
        torch.cat([global_key, key], dim=1),
        torch.cat([global_value, value], dim=1),
        torch.cat([blocks.global_mask, blocks.attention_mask], dim=1),
        num_heads,
    )
    of_blocks = attend(
        blocks.cut(query).flatten(0, 1),  # [B, N, b, D] -> [B*N, b, D]
        blocks.cut_behind(global_key, key),
        blocks.cut_behind(global_value, value),
        blocks.block_mask,
        num_heads,
    )
    batch, lead = blocks.attention_mask.shape[0], blocks.lead
    of_tokens = torch.unflatten(of_blocks, 0, (batch, -1)).flatten(1, 2)
    of_tokens = of_tokens[:, lead : lead + blocks.length]
    return torch.cat([of_global.flatten(0, 1), of_tokens.flatten(0, 1)])


def _split(hidden: Tensor, blocks: LocalBlocks) -> tuple[Tensor, Tensor]:
    """[B*G + B*S, D] -> [B, G, D] and [B, S, D]."""
    batch, length = blocks.attention_mask.shape
    count = batch * blocks.num_global_tokens
    return (
        torch.unflatten(hidden[:count], 0, (batch, blocks.num_global_tokens)),
        torch.unflatten(hidden[count:], 0, (batch, length)),
    )


def _cut(hidden: Tensor, lead: int, behind: int, count: int, size: int) -> Tensor:
    padded = torch.nn.functional.pad(hidden, (0, 0, lead, behind))
    return torch.unflatten(padded, 1, (count, size))


def _behind(of_global: Tensor, blocks: Tensor) -> Tensor:
    """[B, G, D] and [B, N, b, D] -> [B*N, G + b, D]."""
    repeated = of_global[:, None].expand(-1, blocks.shape[1], -1, -1)  # [B, N, G, D]
    return torch.cat([repeated, blocks], dim=2).flatten(0, 1)
