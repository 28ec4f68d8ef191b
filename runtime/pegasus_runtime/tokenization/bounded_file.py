"""Files that are read whole: up to a size that no real one of their kind has."""

import errno
import os
from pathlib import Path

__all__ = ["MAX_VOCABULARY_BYTES", "read_bounded"]

MAX_VOCABULARY_BYTES = 32 * 2**20
"""Of spiece.model, vocab.txt or a dictionary; the largest real ones have some 5 MB."""


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """All of a file. Raises: OSError, whose strerror says so if there is more than expected."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most_bytes + 1) if size <= most_bytes else b""
    if (size := max(size, len(data))) > most_bytes:
        raise OSError(errno.EFBIG, f"it has {size} bytes, expected at most {most_bytes}")
    return data
