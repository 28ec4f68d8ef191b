"""What processors ask of a document: which n-grams it has, and which tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.settings import SearchSettings

__all__ = ["Source", "SourceNgrams", "index_source", "index_source_ngrams"]

SourceNgrams = Mapping[tuple[int, ...], tuple[int, ...]]
"""n-1 tokens of a source -> the tokens that follow them somewhere in it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """One document, as far as the settings look at it: its own ids, EOS included, no padding."""

    ngrams: SourceNgrams
    tokens: npt.NDArray[np.int64]
    """Its distinct tokens, ascending."""


def index_source(source: Sequence[int], settings: SearchSettings) -> Source:
    """Prepares what these settings need, and nothing else."""
    looked_at = source if settings.encoder_repetition_penalty != 1.0 else ()
    return Source(
        ngrams=index_source_ngrams(source, settings.encoder_no_repeat_ngram_size),
        tokens=np.array(sorted(set(looked_at)), np.int64),
    )


def index_source_ngrams(source: Sequence[int], size: int) -> SourceNgrams:
    """The n-grams of one document, by their first n-1 tokens.

    (transformers takes the padded row, and so also bans n-grams of padding in the shorter documents
    of a batch.)
    """
    ends: dict[tuple[int, ...], set[int]] = {}
    for start in range(len(source) + 1 - size if size else 0):
        *prefix, end = source[start : start + size]
        ends.setdefault(tuple(prefix), set()).add(end)
    return {prefix: tuple(sorted(found)) for prefix, found in ends.items()}
