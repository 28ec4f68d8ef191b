"""How far a graph is from the truth, and how far it may be.

The truth is float64. Outputs are compared row by row, a row being what belongs to one token: its
error is the largest of its values. What a checkpoint makes of rounding is its own: where scores of
attention nearly tie, or a large residual stream has drowned what is read of it, float32 loses
digits, in torch as in a graph. So the measure is torch's own float32, whose errors lie where the
checkpoint puts them: the largest error of the bundle may be a few times torch's largest, and so may
the second largest, and so on down. A damage that touches few rows shows among the first, one that
touches all of them in the middle, even where a few rows are amplified beyond all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pegasus_export.errors import VerificationError

__all__ = [
    "NOTHING",
    "TOLERANCES",
    "Errors",
    "Expected",
    "Measured",
    "Tolerance",
    "errors_of",
    "measure",
]

Array = npt.NDArray[np.generic]
Float64 = npt.NDArray[np.float64]
Index = slice | tuple[slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What is let through of a precision."""

    eps: float
    """Its rounding, with which torch's runs are jittered."""
    factor: float
    """Times the error of torch's worst run."""
    floor: float
    """Let through in any case, relative to the largest value: rounding that torch did not do, as it
    adds in another order."""
    by_norm: bool = False
    """Whether whole outputs are compared, by the norm of their error relative to their own.

    Where rounding shows what is wrong, quantisation shows what it costs, which depends on the
    checkpoint: the tolerance tells a costly graph from a broken one, whose error is 1 or more.
    """


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(eps=2.0**-24, factor=5, floor=2e-6),
    "fp16": Tolerance(eps=2.0**-11, factor=10, floor=2e-2),
    "int8": Tolerance(eps=2.0**-8, factor=2, floor=0.1, by_norm=True),
    "int4": Tolerance(eps=2.0**-5, factor=2, floor=0.4, by_norm=True),
}


_BROKEN = 0.98
"""The norm of an error that is let through at most: a graph that returns zeros has 1, and one that
returns something else has more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Errors:
    """How far an output [..., D] is from the truth."""

    rows: Float64
    """[...] the largest error of each row; infinite where it is not finite."""
    norm: float
    """Of all errors, relative to that of the truth."""

    def at(self, index: Index) -> "Errors":
        """The rows that the index leaves."""
        return Errors(rows=self.rows[index], norm=self.norm)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """An output in float64, and how far from it torch's float32 is."""

    exact: Float64
    """[..., D]; all dimensions but the last count rows."""
    fp32: Errors
    rounded: Errors
    """The largest of all of torch's runs, jittered ones too."""

    def at(self, index: Index) -> "Expected":
        """The rows that the index leaves of the leading dimensions."""
        return Expected(
            exact=self.exact[index], fp32=self.fp32.at(index), rounded=self.rounded.at(index)
        )


_NO_ERRORS = Errors(rows=np.empty(0), norm=0.0)
NOTHING = Expected(exact=np.empty((0, 0)), fp32=_NO_ERRORS, rounded=_NO_ERRORS)
"""An output that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How far one graph's outputs are from the truth, where they come nearest to what is let by."""

    graph: str
    error: float
    """Of the bundle. fp32 and fp16: the largest of a row, relative to the largest value of the
    output. int8 and int4: the norm of the output's, relative to that of the output."""
    fp32_error: float
    """Of torch in float32, in the same measure at the same place."""
    tolerance: float


def errors_of(got: Array, exact: Float64) -> Errors:
    """Of an output [..., D], which need not be finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(np.asarray(got, np.float64) - exact)
        norm = float(np.linalg.norm(errors)) / (float(np.linalg.norm(exact)) or 1.0)
    rows = errors.max(axis=-1, initial=0.0)
    return Errors(
        rows=np.where(np.isfinite(rows), rows, np.inf), norm=norm if np.isfinite(norm) else np.inf
    )


def measure(graph: str, pairs: Sequence[tuple[Array, Expected]], precision: str) -> Measured:
    """Compares (got, expected) pairs of one graph's outputs; the worst of all counts.

    Raises: VerificationError if a shape differs, a value is not finite, or the error is too large.
    """
    tolerance = TOLERANCES[precision]
    worst = Measured(graph=graph, error=0.0, fp32_error=0.0, tolerance=tolerance.floor)
    compare = _compare_norms if tolerance.by_norm else _compare_rows
    for got, expected in pairs:
        _check_comparable(graph, got, expected)
        if not got.size:
            continue
        errors = errors_of(got, expected.exact)
        error, fp32_error, allowed = compare(errors, expected, tolerance)
        if error / allowed > worst.error / worst.tolerance:
            worst = Measured(graph=graph, error=error, fp32_error=fp32_error, tolerance=allowed)
    if worst.error > worst.tolerance:
        raise VerificationError(
            f"graph {graph}: differs from the checkpoint in float64 by {worst.error:.1e}, expected "
            f"at most {worst.tolerance:.1e}, as torch's fp32 differs by {worst.fp32_error:.1e}: "
            "report this with the checkpoint's config.json"
        )
    return worst


def _check_comparable(graph: str, got: Array, expected: Expected) -> None:
    if got.shape != expected.exact.shape:
        raise VerificationError(
            f"graph {graph}: an output has shape {list(got.shape)}, expected "
            f"{list(expected.exact.shape)}: report this with the checkpoint's config.json"
        )
    if not np.isfinite(expected.exact).all():
        raise VerificationError(
            f"graph {graph}: the checkpoint itself computes values that are not finite: "
            "its weights are damaged, download or train it again"
        )
    if not np.isfinite(expected.fp32.norm):
        raise VerificationError(
            f"graph {graph}: the checkpoint computes values beyond the range of float32, in "
            "transformers too: train it again, or make its weights smaller"
        )


def _compare_rows(
    errors: Errors, expected: Expected, tolerance: Tolerance
) -> tuple[float, float, float]:
    """Error, fp32's and what is let through at the rank where the error is nearest to it."""
    size = float(np.abs(expected.exact).max(initial=0.0)) or 1.0
    # the norm of all errors is one more to compare: it tells what is small and everywhere
    ranked = [
        np.append(np.sort(each.rows, axis=None) / size, each.norm)
        for each in (errors, expected.fp32, expected.rounded)
    ]
    allowed = tolerance.floor + tolerance.factor * ranked[2]
    worst = int(np.argmax(ranked[0] / allowed))
    return float(ranked[0][worst]), float(ranked[1][worst]), float(allowed[worst])


def _compare_norms(
    errors: Errors, expected: Expected, tolerance: Tolerance
) -> tuple[float, float, float]:
    allowed = max(tolerance.floor, tolerance.factor * expected.rounded.norm)
    allowed = min(allowed, _BROKEN)
    return errors.norm, expected.fp32.norm, allowed
