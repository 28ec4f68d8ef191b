"""The device that is this computer: NumPy for memory, ONNX Runtime on the CPU for graphs.

It runs the graphs that TensorRT builds plans of, through the same decoding: what they compute, and
what the runtime does around them, is checked in this way where there is no GPU. fp16 graphs run
too, though not fast: ONNX Runtime computes in fp32 what the CPU has no fp16 instructions for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.device import Rows, View
from pegasus_runtime.sessions.ort_graph import load_graph, run_graph

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["HostDevice", "HostGraph", "load_host_graphs"]

_ALIGNMENT = 64  # bytes; what ONNX Runtime's own arrays have


class HostBuffer:
    """Some bytes."""

    def __init__(self, num_bytes: int) -> None:
        try:
            self._memory = np.zeros(num_bytes + _ALIGNMENT, dtype=np.uint8)
        except MemoryError as err:
            raise EngineError(
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


class HostGraph:
    """See `Graph`; any shapes will do."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.inputs = [value.name for value in session.get_inputs()]
        self.outputs = [value.name for value in session.get_outputs()]

    def prepare(self, views: Mapping[str, View]) -> HostRun:
        """See `Graph`."""
        binding = self.session.io_binding()
        for names, bind in (
            (self.inputs, binding.bind_input),
            (self.outputs, binding.bind_output),
        ):
            for name in names:
                view = views[name]
                bind(name, "cpu", 0, view.dtype, list(view.shape), view.address)
        return HostRun(self.session, binding, views)


class HostRun:
    """See `PreparedRun`; holds on to the memory that ONNX Runtime knows by address only."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        binding: onnxruntime.IOBinding,
        views: Mapping[str, View],
    ) -> None:
        self.session = session
        self.binding = binding
        self.views = views

    def run(self) -> None:
        """See `PreparedRun`."""
        run_graph(self.session, self.binding)


def load_host_graphs(
    bundle: Bundle, *, threads: int | None = None, pack_weights: bool = True
) -> dict[str, HostGraph]:
    """All graphs of a bundle, by name.

    pack_weights: lets ONNX Runtime keep a second copy of them, in the order in which it is fastest.
    Raises: EngineError.
    """
    return {
        name: HostGraph(load_graph(bundle, name, threads, pack_weights=pack_weights))
        for name in bundle.manifest.graphs
    }


def _array(view: View) -> npt.NDArray[Any]:
    assert isinstance(view.buffer, HostBuffer)
    part = view.buffer.bytes[view.offset : view.offset + view.num_bytes]
    return part.view(view.dtype).reshape(view.shape)


def _pieces(rows: Rows) -> npt.NDArray[np.uint8]:
    """[count, width]; a piece may end before its pitch does, also the last one."""
    assert isinstance(rows.buffer, HostBuffer)
    part = rows.buffer.bytes[rows.offset :]
    return np.lib.stride_tricks.as_strided(part, (rows.count, rows.width), (rows.pitch, 1))
