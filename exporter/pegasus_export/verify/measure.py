"""How far a graph may be from the torch module, and how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_export.errors import VerificationError

__all__ = ["TOLERANCES", "Measured", "measure"]

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "fp16": 0.1, "int8": 0.5, "int4": 0.9}
"""Precision -> largest error that is let through.

Where fp32 shows rounding only, lower precisions show what they cost, which depends on the
checkpoint: their tolerance tells a costly graph from a broken one, whose error is 1 or more.
"""

Array = npt.NDArray[np.generic]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How far one graph's outputs are from the checkpoint's."""

    graph: str
    error: float
    """fp32: max |got - expected|, relative to max(1, max |expected|). Lower precisions: the norm
    of got - expected, relative to that of expected. Of the output where it is largest."""
    tolerance: float


def measure(graph: str, pairs: Sequence[tuple[Array, Array]], precision: str) -> Measured:
    """Compares (got, expected) pairs of one graph's outputs.

    Raises: VerificationError if a shape differs, a value is not finite, or the error is too large.
    """
    relative_error = _largest_error if precision == "fp32" else _error_norm
    largest = 0.0
    for got_array, expected_array in pairs:
        got, expected = np.asarray(got_array, np.float64), np.asarray(expected_array, np.float64)
        _check_comparable(graph, got, expected)
        error = relative_error(got, expected)
        largest = max(largest, error if np.isfinite(error) else np.inf)
    tolerance = TOLERANCES[precision]
    if largest > tolerance:
        raise VerificationError(
            f"graph {graph}: differs from the checkpoint by {largest:.1e}, expected at most "
            f"{tolerance:.0e}: report this with the checkpoint's config.json"
        )
    return Measured(graph=graph, error=largest, tolerance=tolerance)


def _check_comparable(graph: str, got: Float64, expected: Float64) -> None:
    if got.shape != expected.shape:
        raise VerificationError(
            f"graph {graph}: an output has shape {list(got.shape)}, expected "
            f"{list(expected.shape)}: report this with the checkpoint's config.json"
        )
    if not np.isfinite(expected).all():
        raise VerificationError(
            f"graph {graph}: the checkpoint itself computes values that are not finite: "
            "its weights are damaged, download or train it again"
        )


def _largest_error(got: Float64, expected: Float64) -> float:
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    return float(np.abs(got - expected).max(initial=0.0)) / scale


def _error_norm(got: Float64, expected: Float64) -> float:
    norm = float(np.linalg.norm(expected)) or 1.0
    return float(np.linalg.norm(got - expected)) / norm
