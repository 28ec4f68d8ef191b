"""What rows begin with: a caller's prefix, fed to the model token by token before the search, or a
document's own tokens, which the engine has read by then."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.settings import SearchSettings

__all__ = ["prefix_inputs", "row_starts"]

Int64 = npt.NDArray[np.int64]


def row_starts(sources: Sequence[Sequence[int]], settings: SearchSettings) -> Int64:
    """[B, P] what the rows of each document begin with."""
    if settings.continued_tokens:
        return np.array(sources, np.int64).reshape(-1, settings.continued_tokens)
    return np.tile(np.array(settings.prompt, np.int64), (len(sources), 1))


def prefix_inputs(
    num_documents: int, settings: SearchSettings
) -> Iterator[tuple[Int64, Int64 | None]]:
    """Tokens and parents of the model's calls before the one that the search looks at.

    None where there is no prefix; its last token is the search's to feed.
    """
    rows = settings.rows_per_document
    for length, token in enumerate(settings.prompt[:-1], start=1):
        if length == 1:  # one row per document, as all would be the same
            yield np.full(num_documents, token, np.int64), None
        else:
            every_row = np.full(num_documents * rows, token, np.int64)
            yield every_row, np.zeros((num_documents, rows), np.int64)
