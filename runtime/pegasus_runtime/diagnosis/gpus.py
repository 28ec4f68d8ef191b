"""NVIDIA's driver and GPUs, as the driver tells them; no library of CUDA's is needed."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Any

from pegasus_runtime.diagnosis.finding import Finding
from pegasus_runtime.native.gpu import capability_of, load_driver

__all__ = ["find_gpus"]

_NAME_BYTES = 256
_JETSON = Path("/etc/nv_tegra_release")
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")


def find_gpus(driver: Any | None = None) -> list[Finding]:
    """driver: what `load_driver` gives, which is loaded if it is left out."""
    found = []
    if _JETSON.exists():
        line = _JETSON.read_text(errors="replace").splitlines()[0].strip("# ")
        found.append(Finding(name="Jetson", value=line))
    if hidden := os.environ.get("CUDA_VISIBLE_DEVICES"):
        found.append(Finding(name="CUDA_VISIBLE_DEVICES", value=hidden))
    driver = load_driver() if driver is None else driver
    if driver is None:
        return [*found, Finding(name="NVIDIA driver", value="none")]
    found.append(Finding(name="NVIDIA driver", value=_describe_driver(driver)))
    status = driver.cuInit(0)
    count = ctypes.c_int()
    if status != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        says = f"the driver does not start (CUDA error {status})"
        advice = "run nvidia-smi, which says more; in a container, pass the GPU on"
        return [*found, Finding(name="GPU", value=says, is_fine=False, advice=advice)]
    return [*found, *(_describe_gpu(driver, number) for number in range(count.value))]


def _describe_driver(driver: Any) -> str:
    number = ctypes.c_int()
    text = "of an unknown CUDA"
    if driver.cuDriverGetVersion(ctypes.byref(number)) == 0:
        text = f"for CUDA {number.value // 1000}.{number.value % 1000 // 10}"
    try:
        match = re.search(r"\s(\d{3,}\.[\d.]+)\s", _KERNEL_MODULE.read_text(errors="replace"))
    except OSError:
        match = None
    return f"{match.group(1)}, {text}" if match else text


def _describe_gpu(driver: Any, number: int) -> Finding:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    size = ctypes.c_size_t()
    driver.cuDeviceGet(ctypes.byref(device), number)
    driver.cuDeviceGetName(name, _NAME_BYTES, device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    title = name.value.decode(errors="replace")
    memory = f"{size.value / 2**30:.1f} GiB"
    capability = capability_of(driver, device) or "unknown"
    return Finding(name=f"GPU {number}", value=f"{title}, SM {capability}, {memory}")
