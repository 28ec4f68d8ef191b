# ruff: noqa: N802, N815  the names are CUDA's
"""CUDA's runtime on this computer's memory, as lazy as the real one: a stream runs when waited for.

So whoever reuses memory too early is found out. Names, signatures and the number of results, also
of a call that fails, are cuda-bindings' 13.5 (`test_device.py` holds them against it). Behaviour is
that of NVIDIA's "CUDA Runtime API" and of the section "Stream Capture" of its Programming Guide:

- cudaMalloc and cudaFree may not be called by a thread that captures (mode ThreadLocal; other
  threads may), a stream that captures may not be waited for: 900, and the capture is invalid. Work
  that is enqueued into an invalid capture, and its end, are 901; an end by another thread is 908.
- cudaFree waits for the device. What is freed may be anybody's from then on.
- An address that is nobody's is cudaErrorInvalidValue in a copy, at once; in a kernel, and in a
  graph, it is cudaErrorIllegalAddress at the next call that waits, and from every call after that:
  the context is lost, and cudaGetLastError does not clear it.
- A pitch below the width, or of 2 GiB and more, is cudaErrorInvalidPitchValue.
- The current GPU is a thread's own. Kernels and graphs for a stream of another GPU are
  cudaErrorInvalidResourceHandle.
- A copy from or to memory that is not page-locked may be read at any time until the stream is
  waited for: here as late as that. `pageable` counts them.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpu_stand_ins.memory import FakeMemory, bytes_at

Work = Callable[[], None]
Results = tuple[Any, ...]

GPU_BYTES = 8 * 2**30
LONGEST_PITCH = 2**31 - 1


class CudaError(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInvalidPitchValue = 12
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorInvalidDevice = 101
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalState = 401
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901
    cudaErrorStreamCaptureWrongThread = 908


OK = CudaError.cudaSuccess
_RESULTS = {
    "cudaDeviceGetAttribute": 1,
    "cudaGetDeviceCount": 1,
    "cudaGetDeviceProperties": 1,
    "cudaGraphInstantiate": 1,
    "cudaMalloc": 1,
    "cudaMallocHost": 1,
    "cudaMemGetInfo": 2,
    "cudaStreamCreateWithFlags": 1,
    "cudaStreamEndCapture": 1,
}
"""How many each gives besides the error, None each where it fails; others none."""
_OF_NO_CONTEXT = {
    "cudaDriverGetVersion",
    "cudaGetErrorName",
    "cudaGetErrorString",
    "cudaGetLastError",
    "cudaRuntimeGetVersion",
}


class Handle:
    """A stream or a graph: as in cuda-bindings an object of its own, and a number for others."""

    def __init__(self, number: int, device: int = 0) -> None:
        self.number = number
        self.device = device

    def __int__(self) -> int:
        return self.number


class FakeCuda:
    """Stands in for the module `cuda.bindings.runtime`."""

    cudaError_t = CudaError
    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaDeviceAttr = SimpleNamespace(
        cudaDevAttrComputeCapabilityMajor=75, cudaDevAttrComputeCapabilityMinor=76
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self, *, gpu_bytes: int = GPU_BYTES, gpus: int = 1) -> None:
        self.all_memory = FakeMemory(gpu_bytes)
        self.calls: list[str] = []
        self.fails: dict[str, CudaError] = {}
        """Calls that fail, and how."""
        self.gpus = gpus
        self.driver = 13010
        self.queue: list[Work] = []
        """Of all streams: what was enqueued, and not waited for yet."""
        self.captured: list[Work] | None = None
        self.is_spoilt = False
        self.last_error = OK
        self.lost: CudaError | None = None
        """The error that the GPU's context died of."""
        self.pageable = 0
        """Copies from or to memory that is not page-locked."""
        self.graphs: dict[int, list[Work]] = {}
        self.streams: dict[int, Handle] = {}
        self._numbers = iter(range(101, 2**31))
        self._capturing_thread = self._capturing_stream = 0
        self._thread = threading.local()
        self._turn = threading.RLock()

    def __getattribute__(self, name: str) -> Any:
        """Every call is noted, and fails if it was asked to."""
        found = object.__getattribute__(self, name)
        is_call = name.startswith("cuda") and callable(found) and not isinstance(found, type)
        if not is_call:
            return found

        def call(*arguments: Any) -> Results:
            with self._turn:
                self.calls.append(name)
                failure = self.fails.get(name)
                if failure is None and name not in _OF_NO_CONTEXT:
                    failure = self.lost
                if failure is not None:
                    return self.fail(name, failure)
                result = found(*arguments)
                return self.fail(name, result) if isinstance(result, CudaError) else result

        return call

    @property
    def memory(self) -> dict[int, Any]:
        """Address -> what is allocated there, on the GPU and page-locked."""
        return {**self.all_memory.on_gpu, **self.all_memory.on_host}

    @property
    def current_gpu(self) -> int:
        """This thread's."""
        return int(getattr(self._thread, "gpu", 0))

    def fail(self, name: str, error: CudaError) -> Results:
        self.last_error = error
        return (error, *[None] * _RESULTS.get(name, 0))

    def lose(self, error: CudaError = CudaError.cudaErrorIllegalAddress) -> None:
        """What a kernel that writes where nothing is does to the context."""
        self.lost = self.last_error = self.lost or error

    def is_capturing(self, stream: int) -> bool:
        return self.captured is not None and stream == self._capturing_stream

    def enqueue(self, stream: int, work: Work) -> CudaError | None:
        """For a copy or a kernel. An error if the stream's capture is invalid by now."""
        if self.captured is None or not self.is_capturing(stream):
            self.queue.append(work)
        elif self.is_spoilt:
            return CudaError.cudaErrorStreamCaptureInvalidated
        else:
            self.captured.append(work)
        return None

    def launch(self, stream: int, work: Work) -> CudaError | None:
        """As `enqueue`, for a kernel, which has to be of the thread's current GPU."""
        known = self.streams.get(stream)
        if known is None or known.device != self.current_gpu:
            return CudaError.cudaErrorInvalidResourceHandle
        return self.lost or self.enqueue(stream, work)

    def spoil(self) -> CudaError:
        """What is forbidden while the stream captures."""
        self.is_spoilt = True
        return CudaError.cudaErrorStreamCaptureUnsupported

    def cudaGetErrorName(self, error: CudaError) -> Results:
        return OK, error.name.encode()

    def cudaGetErrorString(self, error: CudaError) -> Results:
        return OK, f"text of {int(error)}".encode()

    def cudaGetLastError(self) -> Results:
        error, self.last_error = self.last_error, self.lost or OK
        return (error,)

    def cudaDriverGetVersion(self) -> Results:
        return OK, self.driver

    def cudaRuntimeGetVersion(self) -> Results:
        return OK, 13050

    def cudaGetDeviceCount(self) -> Results:
        return OK, self.gpus

    def cudaSetDevice(self, ordinal: int) -> Results | CudaError:
        if not 0 <= ordinal < self.gpus:
            return CudaError.cudaErrorInvalidDevice
        self._thread.gpu = ordinal
        return (OK,)

    def cudaGetDeviceProperties(self, ordinal: int) -> Results:
        return OK, SimpleNamespace(name=b"NVIDIA Fake\0\0")

    def cudaDeviceGetAttribute(self, attribute: int, ordinal: int) -> Results:
        return OK, {75: 8, 76: 9}[attribute]

    def cudaMemGetInfo(self) -> Results:
        return OK, self.all_memory.free_bytes, self.all_memory.total_bytes

    def cudaStreamCreateWithFlags(self, flags: int) -> Results:
        handle = Handle(next(self._numbers), self.current_gpu)
        self.streams[handle.number] = handle
        return OK, handle

    def cudaStreamDestroy(self, stream: Handle) -> Results | CudaError:
        """What is under way is done all the same."""
        found = self.streams.pop(int(stream), None)
        return CudaError.cudaErrorInvalidResourceHandle if found is None else (OK,)

    def cudaStreamSynchronize(self, stream: Handle) -> Results | CudaError:
        if int(stream) not in self.streams:
            return CudaError.cudaErrorInvalidResourceHandle
        if self.is_capturing(int(stream)):
            return self.spoil()
        return self._finish() or (OK,)

    def cudaMalloc(self, size: int) -> Results | CudaError:
        return self._allocate(size, on_host=False)

    def cudaMallocHost(self, size: int) -> Results | CudaError:
        return self._allocate(size, on_host=True)

    def cudaFree(self, address: int) -> Results | CudaError:
        return self._release(address, on_host=False)

    def cudaFreeHost(self, address: int) -> Results | CudaError:
        return self._release(address, on_host=True)

    def cudaMemsetAsync(
        self, address: int, value: int, size: int, stream: Handle
    ) -> Results | CudaError:
        if not self.all_memory.holds(address, size):
            return CudaError.cudaErrorInvalidValue

        def work() -> None:
            if self._is_there(address, size):
                bytes_at(address, size).fill(value)

        return self._enqueue_on(stream, work)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: int, stream: Handle
    ) -> Results | CudaError:
        sides = {1: (True, False), 2: (False, True), 3: (True, True)}[kind]
        for address, is_on_gpu in zip((target, source), sides, strict=True):
            if is_on_gpu != self.all_memory.holds(address, size):
                return CudaError.cudaErrorInvalidValue
            self.pageable += not (is_on_gpu or self.all_memory.holds(address, size, on_host=True))

        def work() -> None:
            gpu = [x for x, is_on_gpu in zip((target, source), sides, strict=True) if is_on_gpu]
            if all(self._is_there(address, size) for address in gpu):
                np.copyto(bytes_at(target, size), bytes_at(source, size))

        return self._enqueue_on(stream, work)

    def cudaMemcpy2DAsync(
        self,
        target: int,
        target_pitch: int,
        source: int,
        source_pitch: int,
        width: int,
        count: int,
        kind: int,
        stream: Handle,
    ) -> Results | CudaError:
        if any(not width <= x <= LONGEST_PITCH for x in (target_pitch, source_pitch)):
            return CudaError.cudaErrorInvalidPitchValue
        spans = [
            (start, (count - 1) * pitch + width)
            for start, pitch in ((target, target_pitch), (source, source_pitch))
        ]
        if not all(self.all_memory.holds(*span) for span in spans):
            return CudaError.cudaErrorInvalidValue

        def work() -> None:
            if not all(self._is_there(*span) for span in spans):
                return
            for row in range(count):
                to, of = target + row * target_pitch, source + row * source_pitch
                np.copyto(bytes_at(to, width), bytes_at(of, width))

        return self._enqueue_on(stream, work)

    def cudaStreamBeginCapture(self, stream: Handle, mode: int) -> Results | CudaError:
        if self.captured is not None:
            return CudaError.cudaErrorIllegalState
        self.captured, self.is_spoilt = [], False
        self._capturing_thread, self._capturing_stream = threading.get_ident(), int(stream)
        return (OK,)

    def cudaStreamEndCapture(self, stream: Handle) -> Results | CudaError:
        if self.captured is None:
            return CudaError.cudaErrorIllegalState
        if threading.get_ident() != self._capturing_thread:
            return CudaError.cudaErrorStreamCaptureWrongThread
        work, self.captured = self.captured, None
        if self.is_spoilt:
            return CudaError.cudaErrorStreamCaptureInvalidated
        graph = Handle(next(self._numbers))
        self.graphs[graph.number] = work
        return OK, graph

    def cudaGraphInstantiate(self, graph: Handle, flags: int) -> Results:
        executable = Handle(next(self._numbers), self.current_gpu)
        self.graphs[executable.number] = list(self.graphs[int(graph)])
        return OK, executable

    def cudaGraphLaunch(self, executable: Handle, stream: Handle) -> Results | CudaError:
        for work in self.graphs[int(executable)]:
            error = self.launch(int(stream), work)
            if error is not None:
                return error
        return (OK,)

    def cudaGraphDestroy(self, graph: Handle) -> Results:
        del self.graphs[int(graph)]
        return (OK,)

    def cudaGraphExecDestroy(self, executable: Handle) -> Results:
        del self.graphs[int(executable)]
        return (OK,)

    def _is_there(self, address: int, num_bytes: int) -> bool:
        """Whether memory is still allocated when the work is done; the context is lost if not."""
        if not self.all_memory.holds(address, num_bytes):
            self.lose()
        return self.lost is None

    def _enqueue_on(self, stream: Handle, work: Work) -> Results | CudaError:
        if int(stream) not in self.streams:
            return CudaError.cudaErrorInvalidResourceHandle
        return self.enqueue(int(stream), work) or (OK,)

    def _finish(self) -> CudaError | None:
        while self.queue:
            self.queue.pop(0)()
        return self.lost

    def _is_capturing_thread(self) -> bool:
        return self.captured is not None and threading.get_ident() == self._capturing_thread

    def _allocate(self, size: int, *, on_host: bool) -> Results | CudaError:
        if self._is_capturing_thread():
            return self.spoil()
        address = self.all_memory.allocate(size, on_host=on_host)
        return CudaError.cudaErrorMemoryAllocation if address is None else (OK, address)

    def _release(self, address: int, *, on_host: bool) -> Results | CudaError:
        if self._is_capturing_thread():
            return self.spoil()
        error = self._finish()
        if not self.all_memory.release(address, on_host=on_host):
            return CudaError.cudaErrorInvalidValue
        return error or (OK,)
