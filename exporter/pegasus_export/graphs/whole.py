"""Encoder and decoder over whole sequences: what is the same in every target, and the reference.

Run eagerly in the standard dialect these are the model that `verify` holds a bundle against.

Dimensions: B batch, S source, T target, P past, H heads, Dh head dim, D model dim.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pegasus_export.dialects import block_sparse, standard
from pegasus_export.dialects.block_local import (
    LocalBlocks,
    LocalPattern,
    attend_block_local,
    cut_source,
)
from pegasus_export.models.pegasus import Pegasus

__all__ = [
    "AttendPadded",
    "AttendSparse",
    "CrossKeys",
    "SelfKeys",
    "batched",
    "cross_keys",
    "decode",
    "encode",
    "local_pattern",
    "sparse_pattern",
    "trace_length",
]

AttendPadded = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
"""A dialect's full attention: query, key, value [B, S, D], mask [B, S], heads -> [B, S, D]."""
AttendSparse = Callable[[Tensor, Tensor, Tensor, Tensor, int, block_sparse.SparsePattern], Tensor]
"""A block-sparse encoder's attention: the same, and the pattern."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossKeys:
    """What the decoder attends to of the source: per layer, and the mask over it."""

    keys: Sequence[Tensor]
    """L of [B, H, S, Dh]."""
    values: Sequence[Tensor]
    """L of [B, H, S, Dh]."""
    attention_mask: Tensor
    """[B, S] int64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelfKeys:
    """Per layer, the decoder's own keys and values [B, H, P, Dh]; `decode` appends to them."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


def encode(
    pegasus: Pegasus,
    input_ids: Tensor,
    attention_mask: Tensor,
    attend_padded: AttendPadded = standard.attend_padded,
    attend_sparse: AttendSparse = block_sparse.attend_any_length,
) -> Tensor:
    """input_ids, attention_mask [B, S] -> last hidden state [B, S, D]."""
    heads = pegasus.config.encoder_attention_heads
    if pegasus.config.block_local is not None:  # whose shapes are those of one input
        attention_mask = attention_mask.reshape(input_ids.shape)
    blocks: dict[LocalPattern, LocalBlocks] = {}

    def self_attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        local = local_pattern(pegasus, layer)
        if local is not None:
            if local not in blocks:
                blocks[local] = cut_source(attention_mask, local)
            return attend_block_local(query, key, value, heads, blocks[local], attend_padded)
        query, key, value = (batched(x, input_ids) for x in (query, key, value))
        pattern = sparse_pattern(pegasus, layer)
        if pattern is None:
            return attend_padded(query, key, value, attention_mask, heads).flatten(0, 1)
        return attend_sparse(query, key, value, attention_mask, heads, pattern).flatten(0, 1)

    return batched(pegasus.encode(input_ids, self_attend), input_ids)


def sparse_pattern(pegasus: Pegasus, layer: int) -> block_sparse.SparsePattern | None:
    """Which keys the queries of an encoder layer see; None where they see all."""
    config = pegasus.config.block_sparse
    encoder = pegasus.model.encoder
    if config is None or encoder is None:
        return None
    return block_sparse.SparsePattern(
        block_size=config.block_size,
        num_random_blocks=config.num_random_blocks,
        longest_full=config.longest_full,
        random_blocks=encoder.random_blocks(layer),
    )


def local_pattern(pegasus: Pegasus, layer: int) -> LocalPattern | None:
    """What a token sees in an encoder layer of PEGASUS-X; None in other networks."""
    config = pegasus.config.block_local
    if config is None:
        return None
    return LocalPattern(
        block_size=config.block_size,
        num_global_tokens=config.num_global_tokens,
        is_staggered=config.staggers and layer % 2 == 1,
    )


def trace_length(pegasus: Pegasus) -> int:
    """Tokens of the source that an encoder is traced with: no size in it may be 0 or 1.

    That of one block would be: how blocks and documents are one dimension could not be told.
    """
    local = pegasus.config.block_local
    return 5 if local is None else 2 * local.block_size + 5


def cross_keys(pegasus: Pegasus, encoded: Tensor, attention_mask: Tensor) -> CrossKeys:
    """Encoded source [B, S, D] -> what every decoder layer attends to."""
    heads = pegasus.config.decoder_attention_heads

    def split(flat: Tensor) -> Tensor:
        return standard.split_heads(batched(flat, encoded), heads)

    projections = pegasus.cross_projections(encoded.flatten(0, 1))
    return CrossKeys(
        keys=[split(key) for key, _ in projections],
        values=[split(value) for _, value in projections],
        attention_mask=attention_mask,
    )


def decode(
    pegasus: Pegasus,
    input_ids: Tensor,
    cross: CrossKeys | None,
    past: SelfKeys | None = None,
    attention_mask: Tensor | None = None,
) -> tuple[Tensor, SelfKeys]:
    """input_ids [B, T] after P tokens of past -> last hidden state [B, T, D], keys of all P + T.

    attention_mask [B, P + T] hides padding of the decoder's own sequence.
    """
    heads = pegasus.config.decoder_attention_heads
    length = input_ids.shape[1]
    past_length = past.keys[0].shape[2] if past else 0
    bias = standard.causal_bias(length, past_length + length)  # [T, P + T]
    if attention_mask is not None:
        bias = torch.minimum(bias, standard.padding_bias(attention_mask))  # [B, 1, T, P + T]
    present = SelfKeys()

    def self_attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        queries, keys, values = (
            standard.split_heads(batched(x, input_ids), heads) for x in (query, key, value)
        )
        if past is not None:
            keys = torch.cat([past.keys[layer], keys], dim=2)
            values = torch.cat([past.values[layer], values], dim=2)
        present.keys.append(keys)
        present.values.append(values)
        return standard.merge_heads(standard.attend(queries, keys, values, bias)).flatten(0, 1)

    def cross_attend(layer: int, query: Tensor) -> Tensor:
        assert cross is not None
        keys, values = cross.keys[layer], cross.values[layer]
        queries = batched(query, input_ids)
        attended = standard.attend_source(queries, keys, values, cross.attention_mask, heads)
        return attended.flatten(0, 1)

    positions = torch.arange(length) + past_length
    hidden = pegasus.decode(
        input_ids, positions, self_attend, None if cross is None else cross_attend
    )
    return batched(hidden, input_ids), present


def batched(flat: Tensor, like: Tensor) -> Tensor:
    """[B*T, D] -> [B, T, D], B and T being the first dimensions of `like`."""
    return flat.reshape(like.shape[0], like.shape[1], -1)
