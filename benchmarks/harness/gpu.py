"""Which GPU is here, what drives it, and how fast memory is read: the GPU's own, or the CPU's."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pegasus_runtime.native.gpu import current_capability, load_driver
from pegasus_runtime.sessions.cuda.device import CudaDevice

NO_GPU_STATUS = 2  # of a script that needs a GPU
COPY_BYTES = 2**29  # far more than any cache
COPIES = 8
REPEATS = 6
READ_BYTES = 2**29  # likewise
Call = Callable[[], object]


class NoGpuError(Exception):
    """There is no NVIDIA GPU, or no driver; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The first visible GPU."""

    name: str
    compute_capability: str
    memory_bytes: int
    driver: str
    """Its version, or "unknown"."""
    cuda: str
    """The newest CUDA that the driver runs."""

    def __str__(self) -> str:
        return (
            f"{self.name}, compute capability {self.compute_capability}, "
            f"{self.memory_bytes / 2**30:.0f} GiB, driver {self.driver} (CUDA {self.cuda})"
        )


def find_gpu(driver: Any | None = None, *, otherwise: str = "") -> Gpu:
    """driver: in place of the CUDA driver's library. otherwise: what to do without a GPU.

    Raises: NoGpuError.
    """
    driver = load_driver() if driver is None else driver
    capability = None if driver is None else current_capability(driver)
    if driver is None or capability is None:
        what = "no CUDA driver was found" if driver is None else "the CUDA driver finds no GPU"
        raise NoGpuError(
            f"this benchmark needs an NVIDIA GPU, and {what}: run it on a machine that has one"
            f"{otherwise}"
        )
    device, size, version = ctypes.c_int(), ctypes.c_size_t(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), 0)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    driver.cuDriverGetVersion(ctypes.byref(version))
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=capability,
        memory_bytes=size.value,
        driver=_driver_version(),
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def copy_bytes_per_second(device: CudaDevice | None = None, num_bytes: int = COPY_BYTES) -> float:
    """Bytes read and written per second by copies within the GPU's memory: the best of several.

    device: in place of the first GPU; num_bytes: of one copy. Raises: EngineError.
    """
    device = device or CudaDevice()
    source, target = device.allocate(num_bytes), device.allocate(num_bytes)
    addresses = (source.address, target.address)
    kind = device.calls.runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice
    best_s = float("inf")
    for _ in range(REPEATS):
        device.synchronize()
        started = time.perf_counter()
        for _ in range(COPIES):
            with device.hold():
                device.calls("cudaMemcpyAsync", *addresses, num_bytes, kind, device.stream)
        device.synchronize()
        best_s = min(best_s, time.perf_counter() - started)
    return 2 * COPIES * num_bytes / best_s


def read_bytes_per_second(threads: int, num_bytes: int = READ_BYTES) -> float:
    """Memory that the CPU reads, of a sum and of a matrix-vector product: the best of several."""
    import torch

    torch.set_num_threads(threads)
    memory = torch.ones(num_bytes // 4, dtype=torch.float32)
    matrix, vector = memory.view(-1, 1024), torch.ones(1024)
    reads: list[Call] = [lambda: memory.sum(), lambda: matrix @ vector]
    best_s = float("inf")
    with torch.inference_mode():
        for _ in range(REPEATS):
            for read in reads:
                started = time.perf_counter()
                read()
                best_s = min(best_s, time.perf_counter() - started)
    return num_bytes / best_s


def _driver_version() -> str:
    """As the kernel module tells it."""
    module = Path("/sys/module/nvidia/version")
    return module.read_text().strip() if module.is_file() else "unknown"
