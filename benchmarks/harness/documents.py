"""Documents as token ids: random pieces of the vocabulary and the end token, seeded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.shapes import END_ID, FIRST_PIECE_ID


def random_lengths(count: int, *, shortest: int, longest: int, seed: int) -> list[int]:
    """Lengths drawn evenly from ``shortest`` to ``longest``, both included."""
    lengths = np.random.default_rng(seed).integers(shortest, longest + 1, count)
    return [int(length) for length in lengths]


def random_documents(
    lengths: Sequence[int], *, vocabulary: int, seed: int
) -> tuple[tuple[int, ...], ...]:
    """One document of each length in tokens, the end token included."""
    random = np.random.default_rng(seed)
    return tuple(
        (*random.integers(FIRST_PIECE_ID, vocabulary, length - 1).tolist(), END_ID)
        for length in lengths
    )
