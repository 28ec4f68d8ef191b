"""A table of a bundle as an array, without reading it."""

import mmap
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle.folder import Bundle
from pegasus_runtime.errors import EngineError

__all__ = ["let_go", "map_table"]


def map_table(bundle: Bundle, name: str) -> npt.NDArray[Any]:
    """The rows of a table of the manifest, mapped from its file, read-only.

    Raises: EngineError if the file cannot be mapped; BundleError if it is not there.
    """
    spec = bundle.manifest.tables[name]
    path = bundle.path(spec.file)
    try:
        return np.memmap(path, np.dtype(spec.dtype), "r", spec.offset, spec.shape)
    except (OSError, ValueError) as err:
        raise EngineError(f"{path}: cannot be mapped: {err}") from err


def let_go(table: npt.NDArray[Any]) -> None:
    """Has Linux take the pages of a mapped table back; they are read again where they are needed.

    With each row that is looked up, 64 KB around it count as memory of the process.
    """
    mapping = table.base
    if isinstance(mapping, mmap.mmap) and sys.platform == "linux":
        mapping.madvise(mmap.MADV_DONTNEED)
