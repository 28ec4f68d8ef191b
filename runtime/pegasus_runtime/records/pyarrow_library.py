"""pyarrow, where it is needed."""

from __future__ import annotations

from typing import Any

from pegasus_runtime.errors import EngineError

__all__ = ["import_pyarrow"]


def import_pyarrow() -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet. Raises: EngineError where it is missing."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as err:
        raise EngineError(
            f"pyarrow is not installed, which reads Parquet ({err}): "
            "pip install 'pegasus-edge[batch]'"
        ) from err
    return pyarrow, pyarrow.parquet
