"""Random draws: a generator for each row or document, and draws from weights.

Which tokens may be drawn, and how likely each is, is transformers'; the numbers are NumPy's. A draw
inverts the cumulative distribution, so that the same numbers give the same tokens on any scores.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.random import PCG64, Generator, SeedSequence  # NumPy would when it draws, out of memory

__all__ = ["draw_distinct", "seed_generators", "weigh"]


def seed_generators(
    sources: Sequence[Sequence[int]], seed: int | None, rows_per_document: int
) -> list[Generator]:
    """One generator per row. With a seed, equal documents draw equal samples, wherever they are."""
    seeds = []
    for document, source in enumerate(sources):
        for row in range(rows_per_document):
            if seed is None:
                seeds.append(SeedSequence(spawn_key=(document, row)))
            else:
                seeds.append(SeedSequence([seed, row, *source]))
    return [Generator(PCG64(seed)) for seed in seeds]


def weigh(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Weights [V] of scores [V]: proportional to probability, and 0 where that is 0 in fp32."""
    weights: npt.NDArray[np.float32] = np.exp(scores - scores.max())
    return weights.astype(np.float64)


def draw_distinct(
    weights: npt.NDArray[np.float64], count: int, generator: Generator
) -> npt.NDArray[np.int64]:
    """`count` indices, drawn one after another without replacement, in this order.

    Where fewer have a weight, the lowest indices of the others come last, as they must not be
    missing: transformers leaves open which these are.
    """
    possible = np.flatnonzero(weights)
    left = weights[possible]
    chosen = []
    for _ in range(min(count, len(possible))):
        cumulative = np.cumsum(left)
        drawn = np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right")
        last = np.searchsorted(cumulative, cumulative[-1])  # rounding reaches beyond it at times
        place = int(min(drawn, last))
        chosen.append(int(possible[place]))
        left[place] = 0.0
    if len(chosen) < count:
        others = np.flatnonzero(weights[: count + len(possible)] == 0)
        chosen += others[: count - len(chosen)].tolist()
    return np.array(chosen, np.int64)
