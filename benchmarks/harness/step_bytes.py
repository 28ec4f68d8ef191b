"""The bytes that one decoder step must read, from the model's sizes.

They are the least that any engine can do with: the weights of the decoder's products, in which the
keys and values of the source have no part, as they are computed once per document; the head; the
keys and values of the source, once per document and not per beam; and those of the target so far,
per beam. Biases, norms, activations and the rows of the embedding are a thousandth of that.

Dimension key: D model dim, F feed-forward dim, L decoder layers, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.shapes import Shape

SELF_ATTENTION_PRODUCTS = 4  # q, k, v, out: [D, D] each
CROSS_ATTENTION_PRODUCTS = 2  # q, out


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Bytes per number, as an engine stores them."""

    linear: float = 2
    head: float = 2
    source: float = 2
    """Keys and values of the source."""
    cache: float = 2
    """Those of the target so far."""


def step_bytes(
    shape: Shape,
    storage: Storage,
    *,
    batch: int,
    beams: int,
    source_tokens: int,
    target_tokens: float,
) -> float:
    """target_tokens: that self-attention reads; of several steps, their mean."""
    products = SELF_ATTENTION_PRODUCTS + CROSS_ATTENTION_PRODUCTS
    per_layer = products * shape.d_model**2 + 2 * shape.d_model * shape.ffn_dim
    per_token = 2 * shape.decoder_layers * shape.d_model  # its keys and values
    linear = shape.decoder_layers * per_layer * storage.linear
    head = shape.vocabulary * shape.d_model * storage.head
    source, target = source_tokens * storage.source, beams * target_tokens * storage.cache
    return linear + head + batch * (source + target) * per_token
