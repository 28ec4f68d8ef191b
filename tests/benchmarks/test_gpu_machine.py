"""The GPU that benchmarks run on, as a driver and a runtime that are faked tell it."""

from __future__ import annotations

from typing import Any

import pytest

from gpu_stand_ins.cuda import FakeCuda
from harness.gpu import NoGpuError, copy_bytes_per_second, find_gpu, read_bytes_per_second
from pegasus_runtime.sessions.cuda.device import CudaDevice


class Driver:
    """The functions of the CUDA driver that are used here."""

    def __init__(self, *, has_gpu: bool = True) -> None:
        self.has_gpu = has_gpu

    def cuInit(self, flags: int) -> int:  # noqa: N802  the driver's names
        return 0 if self.has_gpu else 100

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 9, 76: 0}[attribute]
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA H200"
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:  # noqa: N802
        size._obj.value = 141 * 2**30
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 13020
        return 0


def test_the_gpu_is_what_the_driver_says() -> None:
    gpu = find_gpu(Driver())
    assert str(gpu).startswith("NVIDIA H200, compute capability 9.0, 141 GiB, driver ")
    assert gpu.cuda == "13.2"


def test_a_driver_without_a_gpu_is_an_error() -> None:
    with pytest.raises(NoGpuError, match="needs an NVIDIA GPU, and the CUDA driver finds no GPU"):
        find_gpu(Driver(has_gpu=False))


def test_copies_have_a_rate() -> None:
    runtime = FakeCuda()
    rate = copy_bytes_per_second(CudaDevice(runtime=runtime), num_bytes=2**20)
    assert rate > 2**20
    assert runtime.calls.count("cudaMemcpyAsync") == 6 * 8


def test_reads_have_a_rate() -> None:
    assert read_bytes_per_second(1, num_bytes=2**20) > 2**20
