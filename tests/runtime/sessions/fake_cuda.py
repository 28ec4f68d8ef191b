# ruff: noqa: N802, N815  the names are CUDA's
"""CUDA's runtime on this computer's memory, as lazy as the real one: a stream runs when waited for.

So whoever reuses memory too early is found out. Names and signatures are cuda-bindings'.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

STREAM = 7
Work = Callable[[], None]


class CudaError(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900
    cudaErrorStreamCaptureInvalidated = 901


OK = CudaError.cudaSuccess


def bytes_at(address: int, num_bytes: int) -> npt.NDArray[np.uint8]:
    memory = (ctypes.c_uint8 * num_bytes).from_address(address)
    return np.frombuffer(memoryview(memory), dtype=np.uint8)


class FakeCuda:
    """Stands in for the module `cuda.bindings.runtime`, with one GPU."""

    cudaError_t = CudaError
    cudaStreamNonBlocking = 1
    cudaMemcpyKind = SimpleNamespace(
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaDeviceAttr = SimpleNamespace(
        cudaDevAttrComputeCapabilityMajor=75, cudaDevAttrComputeCapabilityMinor=76
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self) -> None:
        self.memory: dict[int, npt.NDArray[np.uint8]] = {}
        """Address -> what is allocated there, on the GPU and page-locked."""
        self.calls: list[str] = []
        self.fails: dict[str, CudaError] = {}
        """Calls that fail, and how."""
        self.gpus = 1
        self.driver = 13010
        self.queue: list[Work] = []
        self.captured: list[Work] | None = None
        self.is_spoilt = False
        self.last_error = OK
        self.graphs: dict[int, list[Work]] = {}

    def __getattribute__(self, name: str) -> Any:
        """Every call is noted, and fails if it was asked to."""
        found = object.__getattribute__(self, name)
        is_call = name.startswith("cuda") and callable(found) and not isinstance(found, type)
        if not is_call:
            return found

        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            if name in self.fails:
                return self.fail(self.fails[name])
            return found(*arguments)

        return call

    def fail(self, error: CudaError) -> tuple[CudaError, None]:
        self.last_error = error
        return error, None

    def enqueue(self, work: Work) -> None:
        (self.queue if self.captured is None else self.captured).append(work)

    def cudaGetErrorName(self, error: CudaError) -> tuple[CudaError, bytes]:
        return OK, error.name.encode()

    def cudaGetErrorString(self, error: CudaError) -> tuple[CudaError, bytes]:
        return OK, f"text of {int(error)}".encode()

    def cudaGetLastError(self) -> tuple[CudaError]:
        error, self.last_error = self.last_error, OK
        return (error,)

    def cudaDriverGetVersion(self) -> tuple[CudaError, int]:
        return OK, self.driver

    def cudaRuntimeGetVersion(self) -> tuple[CudaError, int]:
        return OK, 13050

    def cudaGetDeviceCount(self) -> tuple[CudaError, int]:
        return OK, self.gpus

    def cudaSetDevice(self, ordinal: int) -> tuple[CudaError]:
        return (OK,)

    def cudaGetDeviceProperties(self, ordinal: int) -> tuple[CudaError, SimpleNamespace]:
        return OK, SimpleNamespace(name=b"NVIDIA Fake\0\0")

    def cudaDeviceGetAttribute(self, attribute: int, ordinal: int) -> tuple[CudaError, int]:
        return OK, {75: 8, 76: 9}[attribute]

    def cudaMemGetInfo(self) -> tuple[CudaError, int, int]:
        return OK, 3 * 2**20, 8 * 2**20

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[CudaError, int]:
        return OK, STREAM

    def cudaStreamDestroy(self, stream: int) -> tuple[CudaError]:
        return (OK,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[CudaError] | tuple[CudaError, None]:
        if self.captured is not None:
            return self.spoil()
        while self.queue:
            self.queue.pop(0)()
        return (OK,)

    def cudaMalloc(self, size: int) -> tuple[CudaError, int | None]:
        if self.captured is not None:
            return self.spoil()
        memory = np.full(size + 256, 0xAB, dtype=np.uint8)
        address = memory.ctypes.data + -memory.ctypes.data % 256
        self.memory[address] = memory
        return OK, address

    def cudaFree(self, address: int) -> tuple[CudaError] | tuple[CudaError, None]:
        if self.captured is not None:
            return self.spoil()
        self.cudaStreamSynchronize(STREAM)
        del self.memory[address]
        return (OK,)

    cudaMallocHost = cudaMalloc
    cudaFreeHost = cudaFree

    def cudaMemsetAsync(self, address: int, value: int, size: int, stream: int) -> tuple[CudaError]:
        self.enqueue(lambda: bytes_at(address, size).fill(value))
        return (OK,)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[CudaError]:
        self.enqueue(lambda: np.copyto(bytes_at(target, size), bytes_at(source, size)))
        return (OK,)

    def cudaMemcpy2DAsync(
        self,
        target: int,
        target_pitch: int,
        source: int,
        source_pitch: int,
        width: int,
        count: int,
        kind: int,
        stream: int,
    ) -> tuple[CudaError]:
        def work() -> None:
            for row in range(count):
                to, of = target + row * target_pitch, source + row * source_pitch
                np.copyto(bytes_at(to, width), bytes_at(of, width))

        self.enqueue(work)
        return (OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: int) -> tuple[CudaError]:
        self.captured, self.is_spoilt = [], False
        return (OK,)

    def spoil(self) -> tuple[CudaError, None]:
        self.is_spoilt = True
        return self.fail(CudaError.cudaErrorStreamCaptureUnsupported)

    def cudaStreamEndCapture(self, stream: int) -> tuple[CudaError, int | None]:
        work, self.captured = self.captured, None
        if self.is_spoilt or work is None:
            return self.fail(CudaError.cudaErrorStreamCaptureInvalidated)
        graph = 100 + len(self.calls)
        self.graphs[graph] = work
        return OK, graph

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[CudaError, int]:
        self.graphs[-graph] = self.graphs[graph]
        return OK, -graph

    def cudaGraphLaunch(self, executable: int, stream: int) -> tuple[CudaError]:
        self.queue += self.graphs[executable]
        return (OK,)

    def cudaGraphDestroy(self, graph: int) -> tuple[CudaError]:
        del self.graphs[graph]
        return (OK,)

    cudaGraphExecDestroy = cudaGraphDestroy
