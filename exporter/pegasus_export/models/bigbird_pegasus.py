"""What BigBirdPegasus has otherwise than PEGASUS: the names of its weights, and its sparse plan.

Everything else is PEGASUS: `models/pegasus.py` with learned positions, without biases in the
attention, and with another function at the seam of the encoder's self-attention.

Source: Zaheer et al. 2020, "Big Bird" (arXiv:2007.14062); google-research/bigbird,
`bigbird/core/attention.py`; transformers, `models/bigbird_pegasus`.
"""

import re

import numpy as np
import numpy.typing as npt

__all__ = ["SEEDED_REACH", "checkpoint_name", "seeded_blocks"]

SEEDED_REACH = 1024
"""Tokens at the start of a document within which the seeded plan draws its blocks."""

_ENCODER_ATTENTION = r"(model\.encoder\.layers\.\d+\.self_attn)"
_NAMES = (
    (rf"{_ENCODER_ATTENTION}\.q_proj\.", r"\1.self.query."),
    (rf"{_ENCODER_ATTENTION}\.k_proj\.", r"\1.self.key."),
    (rf"{_ENCODER_ATTENTION}\.v_proj\.", r"\1.self.value."),
    (rf"{_ENCODER_ATTENTION}\.out_proj\.", r"\1.output."),
    (r"(model\.(?:en|de)coder)\.layer_norm\.", r"\1.layernorm_embedding."),
)


def checkpoint_name(name: str) -> str:
    """The name that a weight of `Pegasus` has in a BigBirdPegasus checkpoint."""
    for pattern, replacement in _NAMES:
        name = re.sub(f"^{pattern}", replacement, name)
    return name


def seeded_blocks(
    *, layer: int, num_heads: int, max_tokens: int, block_size: int, num_random_blocks: int
) -> npt.NDArray[np.int64]:
    """The plan that the published checkpoints were trained with: random blocks of each query block.

    Returns [H, M, r], M = max_tokens // block_size - 2: row i is of query block i + 1. The original
    code draws it anew for every input of 1024, 3072 or 4096 tokens, from NumPy's legacy generator
    seeded with the layer, always for `max_tokens`, and uses as many rows as the input has; so the
    plan is fixed. Its slips are kept: the last two rows may draw a block that is seen anyway, which
    then counts twice, as does one that lies at the end of a shorter input.

    Raises: ValueError where there are fewer blocks to draw from than `num_random_blocks`.
    """
    generator = np.random.RandomState(layer)
    num_blocks = max_tokens // block_size
    middle = np.arange(1, num_blocks - 1)
    draws_from_start = 2 * block_size < SEEDED_REACH
    last = (SEEDED_REACH if draws_from_start else max_tokens) // block_size - 1
    heads = []
    for _ in range(num_heads):
        rows = [
            generator.permutation(_drawn_from(middle, query, last, num_blocks))[:num_random_blocks]
            for query in range(1, num_blocks - 1)
        ]
        if any(len(row) < num_random_blocks for row in rows):
            raise ValueError(
                f"{num_random_blocks} random blocks of {block_size} tokens cannot be drawn from "
                f"{max_tokens} positions"
            )
        heads.append(np.stack(rows))
    return np.stack(heads).astype(np.int64)


def _drawn_from(
    middle: npt.NDArray[np.int64], query: int, last: int, num_blocks: int
) -> npt.NDArray[np.int64]:
    """The blocks that the original code draws a query block's from."""
    start, end = query - 2, query
    if query == 1:
        return middle[2:last]
    if query == 2:
        return middle[3:last]
    if query in (num_blocks - 3, num_blocks - 2):
        return middle[:last]
    if start > last:
        return middle[:last]
    if end + 1 == last:
        return middle[:start]
    return np.concatenate([middle[:start], middle[end + 1 : last]])
