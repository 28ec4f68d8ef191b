"""The GPU that TensorRT would build on, as the driver tells it."""

import ctypes
import os
from typing import Any

__all__ = ["capability_of", "current_capability", "load_driver"]

_DRIVER = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{MAJOR,MINOR}


def load_driver() -> Any | None:
    """The CUDA driver's library; None where there is none."""
    try:
        return ctypes.CDLL(_DRIVER)
    except OSError:
        return None


def current_capability(driver: Any | None = None) -> str | None:
    """The compute capability of the first visible GPU, such as "8.9"; None if there is no GPU.

    driver: what `load_driver` gives, which is loaded if it is left out.
    """
    driver = load_driver() if driver is None else driver
    if driver is None or driver.cuInit(0) != 0:
        return None
    device = ctypes.c_int()
    if driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    return capability_of(driver, device)


def capability_of(driver: Any, device: ctypes.c_int) -> str | None:
    """The compute capability of one GPU; None where the driver does not tell."""
    parts = [_attribute(driver, device, each) for each in (_MAJOR, _MINOR)]
    return None if None in parts else ".".join(map(str, parts))


def _attribute(driver: Any, device: ctypes.c_int, attribute: int) -> int | None:
    value = ctypes.c_int()
    status = driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value if status == 0 else None
