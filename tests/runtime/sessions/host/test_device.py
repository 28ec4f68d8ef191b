"""The device that is this computer: memory as a GPU's, without one."""

import numpy as np
import pytest

from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.device.arrays import PackedArrays, allocate_array, allocate_arrays
from pegasus_runtime.sessions.device.protocol import Rows, View
from pegasus_runtime.sessions.host.device import HostDevice

FLOAT16 = np.dtype(np.float16)


def test_what_is_uploaded_is_downloaded_as_a_copy() -> None:
    device = HostDevice()
    view = allocate_array(device, (3, 5), FLOAT16)
    assert not device.download(view).any()
    array = np.arange(15, dtype=np.float16).reshape(3, 5)
    device.upload(array, view)
    got = device.download(view)
    np.testing.assert_array_equal(got, array)
    device.upload(array + 1, view)
    np.testing.assert_array_equal(got, array)
    device.synchronize()


def test_pieces_are_copied_between_pitches() -> None:
    device = HostDevice()
    new = allocate_array(device, (4, 6), FLOAT16)
    past = allocate_array(device, (4, 3, 6), FLOAT16)
    array = np.arange(24, dtype=np.float16).reshape(4, 6)
    device.upload(array, new)
    device.copy(
        Rows(buffer=new.buffer, offset=0, pitch=12, width=12, count=4),
        Rows(buffer=past.buffer, offset=2 * 12, pitch=36, width=12, count=4),
    )
    expected = np.zeros((4, 3, 6), np.float16)
    expected[:, 2] = array
    np.testing.assert_array_equal(device.download(past), expected)


def test_memory_that_is_not_there_is_an_error() -> None:
    with pytest.raises(EngineError, match="no memory for 17179869184 MiB: ask for fewer beams"):
        HostDevice().allocate(2**54)


def test_addresses_are_those_of_aligned_views() -> None:
    device = HostDevice()
    views = allocate_arrays(device, ["a", "b", "c"], (3, 7), FLOAT16)
    first = views["a"]
    assert [view.offset for view in views.values()] == [0, 256, 512]
    assert [view.address - first.address for view in views.values()] == [0, 256, 512]
    assert first.num_bytes == 42
    assert first.buffer.num_bytes == 768


def test_packed_arrays_travel_together() -> None:
    device = HostDevice()
    packed = PackedArrays(
        device, {"ids": ((2, 3), np.dtype(np.int64)), "position": ((1,), np.dtype(np.int32))}
    )
    packed.arrays["ids"][...] = [[1, 2, 3], [4, 5, 6]]
    packed.arrays["position"][0] = 7
    assert not device.download(packed.views["ids"]).any()
    packed.upload()
    np.testing.assert_array_equal(device.download(packed.views["ids"]), [[1, 2, 3], [4, 5, 6]])
    got = packed.download()
    packed.arrays["position"][0] = 8
    assert got["position"][0] == 7
    view: View = packed.views["position"]
    assert view.offset == 256
