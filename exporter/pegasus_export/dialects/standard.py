"""Attention in standard ONNX operators (opset 18): what runs anywhere.

Dimensions: B batch, H heads, Q queries, S keys, D model dim, Dh head dim.
"""

import torch
from torch import Tensor

__all__ = [
    "attend",
    "attend_growing",
    "attend_padded",
    "attend_source",
    "causal_bias",
    "merge_heads",
    "padding_bias",
    "split_heads",
]


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(query key^T / sqrt(Dh) + bias) value.

    query [B, H, Q, Dh], key and value [B, H, S, Dh], bias broadcastable to [B, H, Q, S];
    all float32 -> [B, H, Q, Dh].
    """
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    return torch.softmax(scores, dim=-1) @ value


def attend_padded(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, num_heads: int
) -> Tensor:
    """Encoder self-attention: query, key, value [B, S, D], attention_mask [B, S] -> [B, S, D]."""
    keys, values = split_heads(key, num_heads), split_heads(value, num_heads)
    return attend_source(query, keys, values, attention_mask, num_heads)


def attend_source(
    query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, num_heads: int
) -> Tensor:
    """Cross-attention: query [B, Q, D], key and value [B, H, S, Dh], attention_mask [B, S]."""
    bias = padding_bias(attention_mask)
    return merge_heads(attend(split_heads(query, num_heads), key, value, bias))  # -> [B, Q, D]


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
    values [N, H, P + 1, Dh].
    """
    queries, own_key, own_value = (split_heads(x[:, None], num_heads) for x in (query, key, value))
    keys = torch.cat([past_key, own_key], dim=2)
    values = torch.cat([past_value, own_value], dim=2)
    return merge_heads(attend(queries, keys, values, None))[:, 0], keys, values


def split_heads(hidden: Tensor, num_heads: int) -> Tensor:
    """[B, T, D] -> [B, H, T, Dh]."""
    batch, length, d_model = hidden.shape
    return hidden.reshape(batch, length, num_heads, d_model // num_heads).transpose(1, 2)


def merge_heads(attended: Tensor) -> Tensor:
    """[B, H, T, Dh] -> [B, T, D]."""
    return attended.transpose(1, 2).flatten(2, 3)


def padding_bias(attention_mask: Tensor) -> Tensor:
    """attention_mask [B, S] int, 1 = token, 0 = padding -> additive bias [B, 1, 1, S]."""
    lowest = torch.finfo(torch.float32).min
    return (1.0 - attention_mask.to(torch.float32))[:, None, None, :] * lowest


def causal_bias(num_queries: int, num_keys: int) -> Tensor:
    """Additive bias [Q, S] that hides from each query the keys after it; the last sees all."""
    queries = torch.arange(num_queries)[:, None] + (num_keys - num_queries)
    hidden = torch.arange(num_keys)[None, :] > queries
    return hidden.to(torch.float32) * torch.finfo(torch.float32).min
