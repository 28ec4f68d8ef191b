"""BigBird's sparse attention in numbers, for exporter, engines and runtime alike.

Source: transformers, models/bigbird_pegasus/modeling_bigbird_pegasus.py.
"""

__all__ = ["GLOBAL_BLOCKS", "MIN_BLOCKS", "SEEN_BLOCKS", "longest_full", "whole_blocks"]

SEEN_BLOCKS = 5
"""What a block in the middle sees, random blocks aside: the first, the last, itself, and the two
beside it."""
GLOBAL_BLOCKS = 2
"""The first and the last, which see all and are seen by all."""
MIN_BLOCKS = 3
"""Of a source whose attention is told by inputs of the graph; shorter ones are padded."""


def longest_full(*, block_size: int, num_random_blocks: int) -> int:
    """Tokens up to which the encoder attends in full, padding included."""
    return (SEEN_BLOCKS + 2 * num_random_blocks) * block_size


def whole_blocks(tokens: int, block_size: int) -> int:
    """So many tokens as padded where attention is told: to whole blocks, three or more."""
    return max(tokens + -tokens % block_size, MIN_BLOCKS * block_size)
