"""Arrays in a device's memory: alone, behind each other, or packed to travel as one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.sessions.device.protocol import Device, View

__all__ = ["PackedArrays", "allocate_array", "allocate_arrays"]

_ALIGNMENT = 256  # bytes, of every array that a graph is given


def allocate_array(device: Device, shape: tuple[int, ...], dtype: np.dtype[Any]) -> View:
    """An array of its own, zeroed. Raises: EngineError."""
    num_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return View(buffer=device.allocate(num_bytes), shape=shape, dtype=dtype)


def allocate_arrays(
    device: Device, names: Sequence[str], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> dict[str, View]:
    """Arrays of one shape in one buffer, behind each other in the order of their names.

    Zeroed. There is room between them where their size is no multiple of what graphs want.
    Raises: EngineError.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    step = size + -size % _ALIGNMENT
    buffer = device.allocate(step * len(names))
    return {
        name: View(buffer=buffer, shape=shape, dtype=dtype, offset=number * step)
        for number, name in enumerate(names)
    }


class PackedArrays:
    """Arrays that are uploaded, or downloaded, as one piece."""

    def __init__(
        self, device: Device, arrays: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
    ) -> None:
        offsets, end = {}, 0
        for name, (shape, dtype) in arrays.items():
            offsets[name] = end
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            end += size + -size % _ALIGNMENT
        self._device = device
        self._whole = allocate_array(device, (end,), np.dtype(np.uint8))
        self._bytes = np.zeros(end, dtype=np.uint8)
        self.views = {
            name: View(buffer=self._whole.buffer, shape=shape, dtype=dtype, offset=offsets[name])
            for name, (shape, dtype) in arrays.items()
        }
        self.arrays = self._split(self._bytes)
        """Those of this computer, which `upload` makes the device's."""

    def upload(self) -> None:
        """This computer's arrays to the device."""
        self._device.upload(self._bytes, self._whole)

    def download(self) -> dict[str, npt.NDArray[Any]]:
        """The device's arrays, as copies."""
        return self._split(self._device.download(self._whole))

    def _split(self, whole: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
        return {
            name: whole[view.offset : view.offset + view.num_bytes]
            .view(view.dtype)
            .reshape(view.shape)
            for name, view in self.views.items()
        }
