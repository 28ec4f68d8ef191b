"""Which GPU is here, what drives it, and how fast it copies its own memory."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from measure import describe_machine
from pegasus_runtime.native.gpu import current_capability, load_driver
from pegasus_runtime.sessions.cuda.device import CudaDevice

__all__ = [
    "NO_GPU_STATUS",
    "Gpu",
    "NoGpuError",
    "copy_bytes_per_second",
    "describe_gpu_machine",
    "find_gpu",
    "installed_targets",
]

NO_GPU_STATUS = 2  # of a script that needs a GPU
COPY_BYTES = 2**29  # far more than any cache
COPIES = 8
REPEATS = 6
GPU_PACKAGES = (
    "cuda-bindings",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx",
    "tensorrt-rtx-cu13",
)
Call = Callable[[], object]
TARGET_MODULES = {"trt-rtx": "tensorrt_rtx", "trt": "tensorrt"}


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


def find_gpu(driver: Any | None = None) -> Gpu:
    """driver: in place of the CUDA driver's library. Raises: NoGpuError."""
    driver = load_driver() if driver is None else driver
    capability = None if driver is None else current_capability(driver)
    if driver is None or capability is None:
        what = "no CUDA driver was found" if driver is None else "the CUDA driver finds no GPU"
        raise NoGpuError(
            f"this benchmark needs an NVIDIA GPU, and {what}: run it on a machine that has one"
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


def describe_gpu_machine(repository: Path, gpu: Gpu | None) -> dict[str, object]:
    """`measure.describe_machine`, with the GPU and the packages that use it."""
    versions = {name: version for name in GPU_PACKAGES if (version := _version(name))}
    return {
        **describe_machine(repository),
        "gpu": None if gpu is None else asdict(gpu),
        "gpu_packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def installed_targets() -> Mapping[str, str]:
    """Targets whose TensorRT can be imported here, by the name of its module."""
    return {
        target: module
        for target, module in TARGET_MODULES.items()
        if util.find_spec(module) is not None
    }


def copy_bytes_per_second(device: CudaDevice | None = None, num_bytes: int = COPY_BYTES) -> float:
    """Bytes read and written per second by copies within the GPU's memory: the best of several.

    Through cuda-bindings, or through torch where they are missing.
    device: in place of the first GPU; num_bytes: of one copy. Raises: EngineError.
    """
    if device is None and util.find_spec("cuda") is None and util.find_spec("torch") is not None:
        return _best_rate(*_torch_copies(num_bytes), num_bytes)
    return _best_rate(*_cuda_copies(device or CudaDevice(), num_bytes), num_bytes)


def _best_rate(copy: Call, synchronize: Call, num_bytes: int) -> float:
    best_s = float("inf")
    for _ in range(REPEATS):
        synchronize()
        started = time.perf_counter()
        for _ in range(COPIES):
            copy()
        synchronize()
        best_s = min(best_s, time.perf_counter() - started)
    return 2 * COPIES * num_bytes / best_s


def _cuda_copies(device: CudaDevice, num_bytes: int) -> tuple[Call, Call]:
    source, target = device.allocate(num_bytes), device.allocate(num_bytes)
    kind = device.calls.runtime.cudaMemcpyKind.cudaMemcpyDeviceToDevice

    def copy() -> None:
        with device.hold():
            addresses = (target.address, source.address)
            device.calls("cudaMemcpyAsync", *addresses, num_bytes, kind, device.stream)

    return copy, device.synchronize


def _torch_copies(num_bytes: int) -> tuple[Call, Call]:
    import torch

    source = torch.zeros(num_bytes, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return lambda: target.copy_(source), torch.cuda.synchronize


def _driver_version() -> str:
    """As nvidia-smi or the kernel module tells it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    if shutil.which(command[0]):
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.split()[0]
    module = Path("/sys/module/nvidia/version")
    return module.read_text().strip() if module.is_file() else "unknown"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
