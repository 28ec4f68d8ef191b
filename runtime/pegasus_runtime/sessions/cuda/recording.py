"""Work of a GPU's stream, recorded once and launched as one: no call per kernel any more."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from pegasus_runtime.sessions.cuda.device import CudaDevice

__all__ = ["CudaGraph"]


class CudaGraph:
    """What `work` enqueued on the device's stream: the same kernels, on the same addresses.

    Whoever launches it keeps that memory.
    """

    def __init__(self, device: CudaDevice, work: Callable[[], None]) -> None:
        """Records `work` without running it.

        Raises: EngineError where it cannot be recorded, and what `work` raises; the stream is as
        it was before.
        """
        self.device = device
        calls = device.calls
        with device.hold(), device.frees.postponed():
            graph = self._record(work)
            try:
                self._executable: Any = calls("cudaGraphInstantiate", graph, 0)
            finally:
                calls("cudaGraphDestroy", graph)
        free = weakref.finalize(self, device.frees.free, "cudaGraphExecDestroy", self._executable)
        free.atexit = False  # the system frees everything then

    def launch(self) -> None:
        """Enqueues the work. Raises: EngineError."""
        with self.device.hold():
            self.device.calls("cudaGraphLaunch", self._executable, self.device.stream)

    def _record(self, work: Callable[[], None]) -> Any:
        calls, stream = self.device.calls, self.device.stream
        # ThreadLocal: threads that have nothing to do with us may go on allocating.
        mode = calls.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        calls("cudaStreamBeginCapture", stream, mode)
        try:
            work()
        except BaseException:
            self._abandon()
            raise
        return calls("cudaStreamEndCapture", stream)

    def _abandon(self) -> None:
        """Ends a capture that failed, whatever CUDA says to that: the reason is known already."""
        runtime = self.device.calls.runtime
        _, graph = runtime.cudaStreamEndCapture(self.device.stream)
        if graph is not None and int(graph):
            runtime.cudaGraphDestroy(graph)
