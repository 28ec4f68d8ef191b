"""The seam between decoding over preallocated memory and whatever holds that memory.

`engine.py` decodes through these Protocols alone. `sessions/cuda` with `sessions/tensorrt`
implements them on a GPU; `sessions/host` with ONNX Runtime on the CPU, which is how the graphs for
TensorRT, and everything around them, are checked where there is no GPU.

All work of a device is done in order (one stream); only `download` and `synchronize` wait for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import EngineError

__all__ = ["Buffer", "Device", "Graph", "NoMemoryError", "PreparedRun", "Rows", "View"]


class NoMemoryError(EngineError):
    """A device has not enough memory, with what it holds by now."""


class Buffer(Protocol):
    """Memory of a device; it is freed when nothing refers to it any more."""

    @property
    def address(self) -> int:
        """Of its first byte, on the device."""

    @property
    def num_bytes(self) -> int:
        """Its size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A contiguous array in a buffer, from byte `offset` on."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int = 0

    @property
    def address(self) -> int:
        """Of its first element, on the device."""
        return self.buffer.address + self.offset

    @property
    def num_bytes(self) -> int:
        """Its size."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Pieces of equal size in a buffer: `count` of `width` bytes, `pitch` bytes apart."""

    buffer: Buffer
    offset: int
    pitch: int
    width: int
    count: int


class PreparedRun(Protocol):
    """A graph with every input and output bound; on a GPU it may be captured as a CUDA graph."""

    def run(self, interrupt: Interrupt | None = None) -> None:
        """Runs it on what the bound memory holds by now, or as much as it can before it is
        interrupted: TensorRT ends what it began.

        Raises: EngineError, and what interrupts it.
        """


class Graph(Protocol):
    """One loaded graph."""

    def prepare(self, views: Mapping[str, View]) -> PreparedRun:
        """Binds all inputs and outputs by name; addresses and shapes stay as they are.

        Raises: EngineError for shapes that the graph was not built for; NoMemoryError.
        """


class Device(Protocol):
    """Memory, and what is done with it in order."""

    def allocate(self, num_bytes: int) -> Buffer:
        """Zeroed memory. Raises: NoMemoryError if there is not enough."""

    def upload(self, array: npt.NDArray[Any], view: View) -> None:
        """Copies an array, of the view's shape and dtype, into it; the array is free afterwards."""

    def download(self, view: View) -> npt.NDArray[Any]:
        """A copy of what a view holds once all work before is done."""

    def copy(self, source: Rows, target: Rows) -> None:
        """Copies pieces into pieces: widths and counts are equal. The buffers may be the same, the
        pieces do not overlap."""

    def synchronize(self) -> None:
        """Waits for all work."""
