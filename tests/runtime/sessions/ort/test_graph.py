"""Arrays that NumPy and ONNX Runtime share, and memory that is not there."""

import numpy as np
import pytest

from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.pages import PAGES
from pegasus_runtime.sessions.ort.graph import allocate, share


def test_a_shared_array_is_one_memory() -> None:
    array = np.zeros((2, 3), np.float32)
    shared = share(array)
    assert shared.value.data_ptr() == array.ctypes.data
    array[1, 2] = 5
    np.testing.assert_array_equal(shared.value.numpy(), array)
    assert shared.array is array


def test_memory_that_is_not_there_is_an_engine_error() -> None:
    message = (
        rf"^no memory for {2**32} MiB of keys and values: ask for fewer beams or a smaller max_"
    )
    with pytest.raises(EngineError, match=message):
        allocate((2**50,))


@pytest.mark.parametrize("shape", [(3, 5), (2**18,), (16, 8, 64, 32), (16, 8, 64, 33)])
def test_what_is_allocated_can_be_written_however_large_it_is(shape: tuple[int, ...]) -> None:
    array = allocate(shape)
    assert (array.shape, array.dtype) == (shape, np.float32)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[...] = 1
    assert array.sum() == array.size


def test_a_large_array_has_the_memory_of_one_that_went() -> None:
    first = allocate((3, 2**20))
    address = first.ctypes.data
    del first
    assert allocate((3, 2**20)).ctypes.data == address
    PAGES.release()
