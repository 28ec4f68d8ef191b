"""What PEGASUS-X has otherwise than PEGASUS: global tokens in its encoder, and its positions.

Everything else is PEGASUS: `models/pegasus.py` without biases in the attention, and with another
function at the seam of the encoder's self-attention (`dialects/block_local.py`).

The global tokens are learned rows that belong to every document: they see all of it, and all of it
sees them. They go through the encoder's layers as tokens do, but for a LayerNorm of their own
before the attention, and are dropped behind the last layer. Here they are the first rows of the one
matrix that all hidden states travel in: every linear layer is still one product.

Dimensions: B batch, S source, G global tokens, D model dim.
Source: Phang et al. 2022, "Investigating Efficiently Extending Transformers for Long Input
Summarization" (arXiv:2208.04347); transformers, `models/pegasus_x`.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["exponential_positions", "join_global_tokens", "normalise_both"]

_MAX_SCALE = 10000.0


def exponential_positions(count: int, d_model: int) -> Tensor:
    """Position vectors [count, D] float32: sines in the first half of the channels, then cosines.

    Wavelengths go from 2 pi to 20000 pi over the D / 2 channels of a half, the last one included,
    and are computed in float32, as PegasusXSinusoidalPositionalEmbedding does: at position 16384
    the rounding of an angle is 1e-3.
    """
    half = d_model // 2
    step = math.log(_MAX_SCALE) / (half - 1)
    frequencies = torch.exp(torch.arange(half).to(torch.float32) * -step)
    angles = torch.arange(count)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def join_global_tokens(tokens: Tensor, embed_global: nn.Embedding) -> Tensor:
    """[B, S, D] -> [B*G + B*S, D], the global tokens of all documents first."""
    rows = torch.arange(embed_global.num_embeddings).expand(tokens.shape[0], -1)  # [B, G]
    return torch.cat([embed_global(rows).flatten(0, 1), tokens.flatten(0, 1)])


def normalise_both(
    hidden: Tensor, num_global: int, of_global: nn.LayerNorm, of_tokens: nn.LayerNorm
) -> Tensor:
    """Each of the first `num_global` rows by one LayerNorm, the others by the other."""
    return torch.cat([of_global(hidden[:num_global]), of_tokens(hidden[num_global:])])
