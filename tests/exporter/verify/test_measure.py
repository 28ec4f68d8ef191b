"""The error of a graph beside that of torch's float32, and when it is too large."""

import numpy as np
import pytest

from pegasus_export.errors import VerificationError
from pegasus_export.verify.measure import NOTHING, TOLERANCES, Errors, Expected, errors_of, measure

FACTOR, FLOOR = TOLERANCES["fp32"].factor, TOLERANCES["fp32"].floor


def _rows(*values: float) -> np.ndarray:
    """Rows of one value each."""
    return np.array(values, np.float32)[:, None]


def _expected(*values: float, fp32: tuple[float, ...] = ()) -> Expected:
    """Of an output with these values, from which torch's float32 is so far away."""
    exact = np.array(values)[:, None]
    errors = errors_of(exact + np.array(fp32 or (0.0,) * len(values))[:, None], exact)
    return Expected(exact=exact, fp32=errors, rounded=errors)


def test_errors_are_relative_to_the_largest_value_and_told_beside_those_of_torch() -> None:
    got = measure("g", [(_rows(200.0, 0.002), _expected(200, 0, fp32=(0.0, 0.001)))], "fp32")
    assert (got.graph, got.error) == ("g", pytest.approx(1e-5))
    assert got.fp32_error == pytest.approx(5e-6)
    assert got.tolerance == pytest.approx(FLOOR + FACTOR * 5e-6)


def test_the_worst_of_all_pairs_counts_and_none_is_no_error() -> None:
    pairs = [(_rows(1.0), _expected(1)), (_rows(1.000001), _expected(1))]
    assert measure("g", pairs, "fp32").error == pytest.approx(1e-6, rel=0.1)
    assert measure("g", [], "fp32").error == 0.0
    assert measure("g", [(np.empty((0, 0)), NOTHING)], "fp32").error == 0.0


def test_what_rounding_alone_amplifies_is_let_through_in_as_many_rows_as_torch_has_it() -> None:
    amplified = _expected(1, 1, 1, 1, fp32=(0.01, 1e-7, 1e-7, 1e-7))
    measure("g", [(_rows(1, 1, 1.02, 1), amplified)], "fp32")
    with pytest.raises(VerificationError, match=r"by 2.0e-02, .* as torch's fp32 differs by 1.0e-"):
        measure("g", [(_rows(1.02, 1, 1.02, 1), amplified)], "fp32")
    with pytest.raises(VerificationError, match="differs from the checkpoint in float64"):
        measure("g", [(_rows(1, 1.2, 1, 1), amplified)], "fp32")


def test_quantised_outputs_are_measured_by_the_norm_of_their_error() -> None:
    int8 = measure("g", [(_rows(3.0, 4.5), _expected(3, 4))], "int8")
    assert int8.error == pytest.approx(0.1)
    assert int8.tolerance == TOLERANCES["int8"].floor < 1  # a graph that returns zeros has 1
    with pytest.raises(VerificationError, match=r"in float64 by 1.0e\+00"):
        measure("g", [(_rows(0.0, 0.0), _expected(3, 4))], "int4")


def test_a_graph_that_returns_zeros_is_refused_however_much_rounding_is_amplified() -> None:
    amplified = _expected(3, 4, fp32=(3.0, 4.0))
    for precision in ("int8", "int4"):
        measure("g", [(_rows(0.3, 0.4), amplified)], precision)
        with pytest.raises(VerificationError, match=r"by 1.0e\+00, expected at most 9.8e-01"):
            measure("g", [(_rows(0.0, 0.0), amplified)], precision)


@pytest.mark.parametrize("value", [1.001, np.nan, np.inf, -np.inf])
def test_too_large_an_error_is_refused_and_so_is_what_is_not_finite(value: float) -> None:
    with pytest.raises(
        VerificationError,
        match=r"graph g: differs from the checkpoint in float64 by .*, expected at most 2",
    ):
        measure("g", [(_rows(0.0, value), _expected(0, 1))], "fp32")


def test_another_shape_is_refused() -> None:
    with pytest.raises(
        VerificationError, match=r"graph g: an output has shape \[2, 1\], expected \[1, 1\]: report"
    ):
        measure("g", [(_rows(1.0, 1.0), _expected(1))], "fp32")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_truth_that_is_not_finite_blames_the_checkpoint(value: float) -> None:
    with pytest.raises(
        VerificationError, match=r"the checkpoint itself computes values that are not finite: its"
    ):
        measure("g", [(_rows(value), _expected(value))], "fp32")


def test_what_only_float32_cannot_hold_is_said_of_the_checkpoint() -> None:
    infinite = Errors(rows=np.array([np.inf]), norm=np.inf)
    expected = Expected(exact=np.array([[1e39]]), fp32=infinite, rounded=infinite)
    with pytest.raises(
        VerificationError, match=r"computes values beyond the range of float32, in transformers too"
    ):
        measure("g", [(_rows(np.inf), expected)], "fp32")
