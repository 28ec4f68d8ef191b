"""Which GPU, which driver, which libraries: no part after this one means anything without them."""

from __future__ import annotations

import importlib.metadata
import platform

from gpu.setting import GateSetting
from harness.gpu import find_gpu
from pegasus_runtime.sessions.cuda.device import CudaDevice

__all__ = ["run"]

PACKAGES = (
    "pegasus-edge",
    "cuda-bindings",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-cu13",
    "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13",
    "torch",
    "triton",
)


def run(setting: GateSetting) -> dict[str, float | str]:
    """Raises: EngineError, NoGpuError without a GPU."""
    device = CudaDevice()
    error, free, total = device.calls.runtime.cudaMemGetInfo()
    device.calls.check("cudaMemGetInfo", error)
    figures: dict[str, float | str] = {
        "card": device.name(),
        "compute capability": device.compute_capability(),
        "free MiB": free // 2**20,
        "MiB": total // 2**20,
        "CUDA of the driver": str(device.calls("cudaDriverGetVersion")),
        "CUDA of cuda-bindings": str(device.calls("cudaRuntimeGetVersion")),
        "python": platform.python_version(),
    }
    if not setting.stand_ins:
        figures["driver"] = find_gpu().driver
    for name in PACKAGES:
        try:
            figures[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return figures
