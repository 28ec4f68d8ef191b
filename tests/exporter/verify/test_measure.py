"""The largest error of a graph, and when it is too large."""

import numpy as np
import pytest

from pegasus_export.errors import VerificationError
from pegasus_export.verify.measure import TOLERANCES, measure


def _array(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_error_is_relative_to_the_largest_value_but_at_least_to_one() -> None:
    small = measure("g", [(_array(0.5, 0.00005), _array(0.5, 0.0))], "fp32")
    assert small.error == pytest.approx(5e-5)
    large = measure("g", [(_array(200.0, 0.01), _array(200.0, 0.0))], "fp32")
    assert large.error == pytest.approx(5e-5)
    assert (large.graph, large.tolerance) == ("g", TOLERANCES["fp32"])


def test_the_worst_of_all_pairs_counts_and_none_is_no_error() -> None:
    pairs = [(_array(1.0), _array(1.0)), (_array(1.00004), _array(1.0))]
    assert measure("g", pairs, "fp32").error == pytest.approx(4e-5, rel=0.01)
    assert measure("g", [], "fp32").error == 0.0
    assert measure("g", [(_array(), _array())], "fp32").error == 0.0


def test_lower_precisions_are_measured_by_the_norm_of_their_error() -> None:
    pairs = [(_array(3.0, 4.5), _array(3.0, 4.0)), (_array(0.0), _array(0.0))]
    int8 = measure("g", pairs, "int8")
    assert int8.error == pytest.approx(0.1)
    assert int8.tolerance == TOLERANCES["int8"] < 1  # a graph that returns zeros has 1
    with pytest.raises(VerificationError, match=r"differs from the checkpoint by 1.0e\+00"):
        measure("g", [(_array(0.0, 0.0), _array(3.0, 4.0))], "int4")


@pytest.mark.parametrize("value", [1.001, np.nan, np.inf, -np.inf])
def test_too_large_an_error_is_refused_and_so_is_what_is_not_finite(value: float) -> None:
    with pytest.raises(
        VerificationError,
        match=r"graph g: differs from the checkpoint by .*, expected at most 1e-04: report this",
    ):
        measure("g", [(_array(0.0, value), _array(0.0, 1.0))], "fp32")


def test_another_shape_is_refused() -> None:
    with pytest.raises(
        VerificationError, match=r"graph g: an output has shape \[2\], expected \[1\]: report"
    ):
        measure("g", [(_array(1.0, 1.0), _array(1.0))], "fp32")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reference_that_is_not_finite_blames_the_checkpoint(value: float) -> None:
    with pytest.raises(
        VerificationError, match=r"the checkpoint itself computes values that are not finite: its"
    ):
        measure("g", [(_array(value), _array(value))], "fp32")
