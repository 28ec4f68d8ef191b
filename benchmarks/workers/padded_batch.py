"""Token ids into and out of the rectangles that `generate` of transformers and Optimum works on."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["PAD_ID", "count_new_tokens", "pad_sources"]

PAD_ID = 0


def pad_sources(sources: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Ids padded at the end to the longest document, and the mask that is 1 on real tokens."""
    longest = max(map(len, sources))
    gaps = [longest - len(source) for source in sources]
    ids = [[*source, *[PAD_ID] * gap] for source, gap in zip(sources, gaps, strict=True)]
    mask = [[1] * (longest - gap) + [0] * gap for gap in gaps]
    return ids, mask


def count_new_tokens(row: Sequence[int]) -> int:
    """Tokens of a generated row: without the start token, and without padding at the end."""
    length = len(row)
    while length > 1 and row[length - 1] == PAD_ID:
        length -= 1
    return length - 1
