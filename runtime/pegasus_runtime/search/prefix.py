"""The caller's prefix, fed to the model token by token before the search begins."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pegasus_runtime.search.settings import SearchSettings

__all__ = ["prefix_inputs"]

Int64 = npt.NDArray[np.int64]


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
