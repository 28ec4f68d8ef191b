"""Rows of token ids as one array, filled as transformers' `generate` fills them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.settings import SearchSettings

__all__ = ["pad_rows"]


def pad_rows(rows: Sequence[Sequence[int]], settings: SearchSettings) -> npt.NDArray[np.int64]:
    """[rows, tokens of the longest]. With beams, `generate` takes a pad of 0 for none, and fills
    with EOS."""
    tokens = settings.tokens
    fill = tokens.pad
    if settings.num_beams > 1 and not fill:
        fill = tokens.eos[0] if tokens.eos else -1
    padded = np.full((len(rows), max(map(len, rows))), fill, np.int64)
    for to, ids in zip(padded, rows, strict=True):
        to[: len(ids)] = ids
    return padded
