"""How far a graph may be from the torch module, and how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_export.errors import VerificationError

__all__ = ["TOLERANCES", "Measured", "measure"]

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4}
"""Precision -> largest error, relative to the largest reference value (but at least to 1)."""

Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The largest error of one graph's outputs."""

    graph: str
    max_error: float
    """max |got - expected|, relative to max(1, max |expected|)."""
    tolerance: float


def measure(graph: str, pairs: Sequence[tuple[Array, Array]], precision: str) -> Measured:
    """Compares (got, expected) pairs of one graph's outputs.

    Raises: VerificationError if a shape differs, a value is not finite, or the error is too large.
    """
    largest = 0.0
    for got_array, expected_array in pairs:
        got, expected = np.asarray(got_array, np.float64), np.asarray(expected_array, np.float64)
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
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        error = float(np.abs(got - expected).max(initial=0.0)) / scale
        largest = max(largest, error if np.isfinite(error) else np.inf)
    tolerance = TOLERANCES[precision]
    if largest > tolerance:
        raise VerificationError(
            f"graph {graph}: differs from the checkpoint by {largest:.1e}, expected at most "
            f"{tolerance:.0e}: report this with the checkpoint's config.json"
        )
    return Measured(graph=graph, max_error=largest, tolerance=tolerance)
