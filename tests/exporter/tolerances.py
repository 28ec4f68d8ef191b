"""How far a result may be from its reference: the one table of the exporter's tests."""

from typing import Any

import numpy as np

__all__ = ["TOLERANCES", "assert_close"]

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}
"""dtype of the result -> largest error, relative to the largest reference value (at least 1)."""


def assert_close(got: Any, expected: Any) -> None:
    """Two arrays or tensors of one shape, compared as TOLERANCES says."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    error = float(np.abs(got.astype(np.float64) - expected).max(initial=0.0)) / scale
    assert error <= TOLERANCES[got.dtype.name], f"error {error:.1e}"
