"""fp32 weights to fp16."""

import numpy as np
import pytest

from pegasus_engines.precision.fp16 import HalfRangeError, half_weights, to_half
from pegasus_engines.precision.residual_shift import ResidualShift


def test_only_what_writes_the_stream_is_scaled() -> None:
    weights = {"a.fc2.weight": np.full((2, 2), 3.0, np.float32), "a.fc1.bias": np.ones(2, "f4")}
    stored = dict(half_weights(weights, ResidualShift(bits=4)))
    assert {array.dtype.name for array in stored.values()} == {"float16"}
    assert stored["a.fc2.weight"][0, 0] == 3 / 16
    assert stored["a.fc1.bias"][0] == 1


@pytest.mark.parametrize("bad", [70000.0, -1e9, np.inf, np.nan])
def test_a_weight_that_fp16_cannot_hold_is_refused(bad: float) -> None:
    with pytest.raises(HalfRangeError, match=r"^a\.bias has a value of .*, the largest of fp16 is"):
        to_half("a.bias", np.array([bad], np.float32))


def test_a_large_weight_fits_once_it_is_scaled() -> None:
    weights = {"a.fc2.bias": np.array([2.0**17], np.float32)}
    ((_, half),) = half_weights(weights, ResidualShift(bits=4))
    assert half[0] == 2.0**13
