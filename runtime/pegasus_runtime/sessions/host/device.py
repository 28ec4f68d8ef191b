"""The device that is this computer: NumPy for memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.sessions.device.protocol import NoMemoryError, Rows, View

__all__ = ["HostDevice"]

_ALIGNMENT = 64  # bytes; what ONNX Runtime's own arrays have


class HostBuffer:
    """Some bytes."""

    def __init__(self, num_bytes: int) -> None:
        try:
            self._memory = np.zeros(num_bytes + _ALIGNMENT, dtype=np.uint8)
        except MemoryError as err:
            raise NoMemoryError(
                f"no memory for {num_bytes // 2**20} MiB: ask for fewer beams or a smaller "
                "max_length, or give shorter documents"
            ) from err
        start = -self._memory.ctypes.data % _ALIGNMENT
        self.bytes = self._memory[start : start + num_bytes]

    @property
    def address(self) -> int:
        """See `Buffer`."""
        return self.bytes.ctypes.data

    @property
    def num_bytes(self) -> int:
        """See `Buffer`."""
        return len(self.bytes)


class HostDevice:
    """See `Device`; everything is done at once."""

    def allocate(self, num_bytes: int) -> HostBuffer:
        """See `Device`."""
        return HostBuffer(num_bytes)

    def upload(self, array: npt.NDArray[Any], view: View) -> None:
        """See `Device`."""
        _array(view)[...] = array

    def download(self, view: View) -> npt.NDArray[Any]:
        """See `Device`."""
        return _array(view).copy()

    def copy(self, source: Rows, target: Rows) -> None:
        """See `Device`."""
        _pieces(target)[...] = _pieces(source)

    def synchronize(self) -> None:
        """See `Device`."""


def _array(view: View) -> npt.NDArray[Any]:
    assert isinstance(view.buffer, HostBuffer)
    part = view.buffer.bytes[view.offset : view.offset + view.num_bytes]
    return part.view(view.dtype).reshape(view.shape)


def _pieces(rows: Rows) -> npt.NDArray[np.uint8]:
    """[count, width]; a piece may end before its pitch does, also the last one."""
    assert isinstance(rows.buffer, HostBuffer)
    part = rows.buffer.bytes[rows.offset :]
    return np.lib.stride_tricks.as_strided(part, (rows.count, rows.width), (rows.pitch, 1))
