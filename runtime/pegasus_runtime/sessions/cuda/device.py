"""A GPU's memory, and one stream in which everything is done in order."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.cuda import CudaFrees, CudaRuntime
from pegasus_runtime.sessions.device.protocol import Buffer, NoMemoryError, Rows, View

__all__ = ["CudaBuffer", "CudaDevice"]

_STAGING_BYTES = 4 * 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class CudaBuffer:
    """See `Buffer`."""

    address: int
    num_bytes: int


class CudaDevice:
    """See `Device`; safe to use from several threads, which take turns."""

    def __init__(self, *, ordinal: int = 0, runtime: Any = None) -> None:
        """ordinal: of the GPU among those that are visible; runtime: see `CudaRuntime`.

        Raises: EngineError if there is no such GPU, or no driver, or cuda-bindings is missing.
        """
        self.calls = CudaRuntime(runtime)
        self.frees = CudaFrees(self.calls)
        self.ordinal = ordinal
        self._turn = threading.RLock()
        count = self.calls("cudaGetDeviceCount")
        if not 0 <= ordinal < count:
            raise EngineError(f"there is no GPU {ordinal}, expected one of 0 to {count - 1}")
        with self.hold():
            # Work of a stream that blocks would wait for the default stream of others.
            flags = self.calls.runtime.cudaStreamNonBlocking
            self.stream: Any = self.calls("cudaStreamCreateWithFlags", flags)
            self.stream_handle = int(self.stream)
            """The stream, as TensorRT takes it."""
            self._free_with(self, "cudaStreamDestroy", self.stream)
            self._staging = _Staging(self.calls("cudaMallocHost", _STAGING_BYTES))
            self._free_with(self, "cudaFreeHost", self._staging.address)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps other threads' work out of the stream, and makes the GPU this thread's."""
        with self._turn:
            # Each time: CUDA has a current GPU per thread, and any other library may change it.
            self.calls("cudaSetDevice", self.ordinal)
            yield

    def name(self) -> str:
        """The GPU's, such as "NVIDIA GeForce RTX 4090"."""
        properties = self.calls("cudaGetDeviceProperties", self.ordinal)
        return bytes(properties.name).split(b"\0")[0].decode(errors="replace")

    def compute_capability(self) -> str:
        """The GPU's, such as "8.9"."""
        attributes = self.calls.runtime.cudaDeviceAttr
        major, minor = (
            self.calls("cudaDeviceGetAttribute", attribute, self.ordinal)
            for attribute in (
                attributes.cudaDevAttrComputeCapabilityMajor,
                attributes.cudaDevAttrComputeCapabilityMinor,
            )
        )
        return f"{major}.{minor}"

    def allocate(self, num_bytes: int) -> CudaBuffer:
        """See `Device`."""
        with self.hold():
            size = max(num_bytes, 1)  # CUDA's memory of no bytes has no address
            error, address = self.calls.runtime.cudaMalloc(size)
            if error == self.calls.runtime.cudaError_t.cudaErrorMemoryAllocation:
                raise self._no_memory(num_bytes)
            self.calls.check("cudaMalloc", error)
            buffer = CudaBuffer(address=int(address), num_bytes=num_bytes)
            self._free_with(buffer, "cudaFree", buffer.address)
            self.calls("cudaMemsetAsync", buffer.address, 0, size, self.stream)
        return buffer

    def upload(self, array: npt.NDArray[Any], view: View) -> None:
        """See `Device`."""
        if array.shape != view.shape or array.dtype != view.dtype:
            raise EngineError(
                f"got {array.dtype} {list(array.shape)} to upload, expected {view.dtype} "
                f"{list(view.shape)}: give an array like its view"
            )
        _check_inside(view.buffer, view.offset, view.num_bytes)
        source = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        with self.hold():
            for start in range(0, len(source), _STAGING_BYTES):
                piece = source[start : start + _STAGING_BYTES]
                staged = self._stage(len(piece))
                staged[...] = piece
                self._copy_bytes(view.address + start, staged.ctypes.data, piece, "HostToDevice")

    def download(self, view: View) -> npt.NDArray[Any]:
        """See `Device`."""
        _check_inside(view.buffer, view.offset, view.num_bytes)
        found = np.empty(view.num_bytes, dtype=np.uint8)
        with self.hold():
            for start in range(0, len(found), _STAGING_BYTES):
                piece = found[start : start + _STAGING_BYTES]
                staged = self._stage(len(piece))
                self._copy_bytes(staged.ctypes.data, view.address + start, piece, "DeviceToHost")
                self.synchronize()
                piece[...] = staged
        return found.view(view.dtype).reshape(view.shape)

    def copy(self, source: Rows, target: Rows) -> None:
        """See `Device`."""
        if (source.width, source.count) != (target.width, target.count):
            raise EngineError(
                f"got {source.count} pieces of {source.width} bytes to copy into {target.count} of "
                f"{target.width}, expected as many of the same width"
            )
        for rows in (source, target):
            _check_inside(rows.buffer, rows.offset, (rows.count - 1) * rows.pitch + rows.width)
        with self.hold():
            self.calls(
                "cudaMemcpy2DAsync",
                target.buffer.address + target.offset,
                target.pitch,
                source.buffer.address + source.offset,
                source.pitch,
                source.width,
                source.count,
                self.calls.runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice,
                self.stream,
            )

    def synchronize(self) -> None:
        """See `Device`."""
        with self.hold():
            self.calls("cudaStreamSynchronize", self.stream)
            self._staging.used = 0

    def _stage(self, num_bytes: int) -> npt.NDArray[np.uint8]:
        """Staging memory that no copy uses any more."""
        if self._staging.used + num_bytes > _STAGING_BYTES:
            self.synchronize()
        return self._staging.take(num_bytes)

    def _copy_bytes(
        self, target: int, source: int, piece: npt.NDArray[np.uint8], direction: str
    ) -> None:
        kind = getattr(self.calls.runtime.cudaMemcpyKind, f"cudaMemcpy{direction}")
        self.calls("cudaMemcpyAsync", target, source, len(piece), kind, self.stream)

    def _no_memory(self, num_bytes: int) -> NoMemoryError:
        error, free, total = self.calls.runtime.cudaMemGetInfo()
        left = "" if error else f", {free // 2**20} of {total // 2**20} MiB are free"
        return NoMemoryError(
            f"no memory for {num_bytes / 2**20:.1f} MiB on the GPU{left}: ask for fewer beams, a "
            "smaller batch or shorter documents"
        )

    def _free_with(self, owner: object, name: str, handle: Any) -> None:
        """Frees a handle when nothing refers to its owner any more."""
        # Not at exit: the system frees everything then, and CUDA may be gone already.
        weakref.finalize(owner, self.frees.free, name, handle).atexit = False


class _Staging:
    """Page-locked memory that all copies from and to this computer's memory pass through.

    A copy from memory of Python's may still be reading when the call returns, or may have waited
    for the whole stream; one from here never waits, and a step's few uploads all fit in.
    """

    def __init__(self, address: int) -> None:
        self.address = int(address)
        self.used = 0
        memory = (ctypes.c_uint8 * _STAGING_BYTES).from_address(self.address)
        self._bytes: npt.NDArray[np.uint8] = np.frombuffer(memoryview(memory), dtype=np.uint8)

    def take(self, num_bytes: int) -> npt.NDArray[np.uint8]:
        """So many bytes behind those taken before."""
        start = self.used
        self.used += num_bytes
        return self._bytes[start : self.used]


def _check_inside(buffer: Buffer, offset: int, num_bytes: int) -> None:
    """CUDA would read or write the next buffer, without a word."""
    if offset < 0 or offset + num_bytes > buffer.num_bytes:
        raise EngineError(
            f"bytes {offset} to {offset + num_bytes} were asked of a buffer of "
            f"{buffer.num_bytes}: this is a mistake in pegasus-edge, please report it"
        )
