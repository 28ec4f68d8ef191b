"""Arrays that NumPy and ONNX Runtime share, and memory that is not there."""

import os
from pathlib import Path

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


@pytest.mark.parametrize("shape", [(3, 5), (2**18,), (16, 8, 64, 32), (16, 8, 64, 33)])
def test_what_is_allocated_is_zeros_to_write_in_however_large_it_is(shape: tuple[int, ...]) -> None:
    array = allocate(shape)
    assert (array.shape, array.dtype) == (shape, np.float32)
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not array.any()
    array[...] = 1
    assert array.sum() == array.size
    assert not allocate(shape).any()


def test_large_arrays_are_given_back_when_they_go() -> None:
    """Whatever lies behind them in memory, as the heap could not."""

    def resident_mib() -> int:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 2**20

    large = allocate((48, 2**18))
    large[...] = 1
    behind = allocate((2**16,))
    before = resident_mib()
    del large
    assert resident_mib() <= before - 40
    assert not behind.any()
