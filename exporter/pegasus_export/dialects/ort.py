"""Attention in ONNX Runtime's contrib operators, and candidate selection inside the graph.

The decoder's cache is preallocated and written in place (`past_present_share_buffer`), and beams
that change places are followed through `cache_indirection` rather than by copying the cache.
Source: onnxruntime docs/ContribOperators.md (MultiHeadAttention, DecoderMaskedMultiHeadAttention).

Dimensions: B batch, K beams, N = B*K rows, H heads, S source, T cache length, D model dim,
Dh head dim, V vocabulary, C candidates.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from pegasus_export.dialects import standard

__all__ = [
    "BeamCache",
    "attend_growing",
    "attend_padded",
    "attend_source",
    "attend_with_cache",
    "select_candidates",
]

_MICROSOFT_MHA = "com.microsoft::MultiHeadAttention"
_MICROSOFT_DECODER_MHA = "com.microsoft::DecoderMaskedMultiHeadAttention"
_FLOAT, _INT64 = 1, 7  # onnx.TensorProto data types
_LOWEST = torch.finfo(torch.float32).min


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeamCache:
    """One layer's self-attention cache, and where each beam's past lies in it."""

    key: Tensor
    """[N, H, T, Dh] float32."""
    value: Tensor
    """[N, H, T, Dh] float32."""
    length: Tensor
    """[1] int32: tokens already in the cache; the step's own token is written there."""
    beam_width: Tensor
    """[1] int32: K."""
    indirection: Tensor
    """[B, K, T] int32: the beam whose row holds the key of position t for beam k."""


def attend_padded(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, num_heads: int
) -> Tensor:
    """Encoder self-attention: query, key, value [B, S, D], attention_mask [B, S] -> [B, S, D]."""
    if torch.compiler.is_exporting():
        return _multi_head_attention(query, key, value, attention_mask, num_heads)
    return standard.attend_padded(query, key, value, attention_mask, num_heads)


def attend_source(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, num_heads: int
) -> Tensor:
    """Cross-attention with the beams as queries, so that keys and values exist once a document.

    query [B, K, D], key and value [B, H, S, Dh], attention_mask [B, S] -> [B, K, D].
    """
    if torch.compiler.is_exporting():
        return _multi_head_attention(query, key, value, attention_mask, num_heads)
    return standard.attend_source(query, key, value, attention_mask, num_heads)


def attend_with_cache(
    query: Tensor, key: Tensor, value: Tensor, cache: BeamCache, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Decoder self-attention of one new token per row over that row's past.

    query, key, value [N, D] -> attended [N, D] and the cache's keys and values with this token's
    written at `cache.length` of its own row.
    """
    if torch.compiler.is_exporting():
        steps = [x[:, None, :] for x in (query, key, value)]  # [N, D] -> [N, 1, D]
        inputs = [*steps, None, None, cache.key, cache.value]
        inputs += [cache.length, cache.beam_width, cache.indirection]
        attended, new_key, new_value = torch.onnx.ops.symbolic_multi_out(
            _MICROSOFT_DECODER_MHA,
            inputs,
            attrs={"num_heads": num_heads, "past_present_share_buffer": 1},
            dtypes=[_FLOAT, _FLOAT, _FLOAT],
            shapes=[steps[0].shape, cache.key.shape, cache.value.shape],
            version=1,
        )
        return attended[:, 0], new_key, new_value
    return _attend_with_cache_eagerly(query, key, value, cache, num_heads)


def attend_growing(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    past_key: Tensor,
    past_value: Tensor,
    num_heads: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Decoder self-attention of one new token per row, whose keys join those before it.

    query, key, value [N, D], past_key and past_value [N, H, P, Dh] -> attended [N, D], and keys and
    values [N, H, P + 1, Dh]: copies, as the states of an ONNX Loop are never written in place.
    """
    if not torch.compiler.is_exporting():
        return standard.attend_growing(query, key, value, past_key, past_value, num_heads)
    steps = [x[:, None, :] for x in (query, key, value)]  # [N, D] -> [N, 1, D]
    rows, heads, past, head_dim = past_key.shape
    grown = (rows, heads, past + 1, head_dim)
    attended, keys, values = torch.onnx.ops.symbolic_multi_out(
        _MICROSOFT_MHA,
        [*steps, None, None, None, past_key, past_value],
        attrs={"num_heads": num_heads},
        dtypes=[_FLOAT, _FLOAT, _FLOAT],
        shapes=[steps[0].shape, grown, grown],
        version=1,
    )
    return attended[:, 0], keys, values


def select_candidates(log_probs: Tensor, num_candidates: Tensor) -> tuple[Tensor, Tensor]:
    """The largest log-probabilities of each row and their ids, descending.

    log_probs [N, V] float32, num_candidates [1] int64 = C -> [N, C] float32, [N, C] int64.
    """
    if torch.compiler.is_exporting():
        shape = (log_probs.shape[0], cast(int, num_candidates.item()))  # symbolic
        scores, ids = torch.onnx.ops.symbolic_multi_out(
            "TopK",
            [log_probs, num_candidates],
            attrs={"axis": -1},
            dtypes=[_FLOAT, _INT64],
            shapes=[shape, shape],
        )
        return scores, ids
    scores, ids = torch.topk(log_probs, int(num_candidates))
    return scores, ids


def _multi_head_attention(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, num_heads: int
) -> Tensor:
    return torch.onnx.ops.symbolic(
        _MICROSOFT_MHA,
        [query, key, value, None, attention_mask.to(torch.int32)],
        attrs={"num_heads": num_heads, "mask_filter_value": _LOWEST},
        dtype=_FLOAT,
        shape=query.shape,
        version=1,
    )


def _attend_with_cache_eagerly(
    query: Tensor, key: Tensor, value: Tensor, cache: BeamCache, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    batch, beams, _ = cache.indirection.shape
    past = int(cache.length)
    new_key, new_value = cache.key.clone(), cache.value.clone()
    new_key[:, :, past] = standard.split_heads(key[:, None], num_heads)[:, :, 0]
    new_value[:, :, past] = standard.split_heads(value[:, None], num_heads)[:, :, 0]
    own = torch.arange(beams).expand(batch, beams)[:, :, None]
    beam = torch.cat([cache.indirection[:, :, :past].long(), own], dim=2)
    rows = (torch.arange(batch)[:, None, None] * beams + beam).flatten(0, 1)  # [N, past + 1]
    position = torch.arange(past + 1)
    past_key = new_key[rows, :, position].transpose(1, 2)  # [N, T, H, Dh] -> [N, H, T, Dh]
    past_value = new_value[rows, :, position].transpose(1, 2)
    heads = standard.split_heads(query[:, None], num_heads)
    attended = standard.merge_heads(standard.attend(heads, past_key, past_value, None))
    return attended[:, 0], new_key, new_value
