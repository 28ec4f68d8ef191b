"""Arrays that NumPy and ONNX Runtime share, and memory that is not there."""

import numpy as np
import pytest

from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.ort.graph import allocate, share


def test_a_shared_array_is_one_memory() -> None:
    array = np.zeros((2, 3), np.float32)
    shared = share(array)
    assert shared.value.data_ptr() == array.ctypes.data
    array[1, 2] = 5
    np.testing.assert_array_equal(shared.value.numpy(), array)
    assert shared.array is array


def test_allocated_memory_is_zero() -> None:
    array = allocate((2, 3))
    assert array.dtype == np.float32
    assert not array.any()


def test_memory_that_is_not_there_is_an_engine_error() -> None:
    message = (
        rf"^no memory for {2**32} MiB of keys and values: ask for fewer beams or a smaller max_"
    )
    with pytest.raises(EngineError, match=message):
        allocate((2**50,))
