# ruff: noqa: N802  the names are CUDA's
"""CUDA's driver beside `FakeCuda`: a launch of the attention kernels computes what they specify.

The first kernel's work is the reference's, in float64; the second, which joins splits, has nothing
left to do. What is launched runs when the stream is waited for, on the addresses that it was given.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gpu_stand_ins.cuda import FakeCuda
from gpu_stand_ins.memory import bytes_at
from pegasus_plugins import reference
from pegasus_plugins.kernel_file import ATTEND, KernelFile, KernelImage
from pegasus_plugins.specification import AttentionSpec

__all__ = ["FakeDriver", "from_numbers", "to_numbers"]

NUM_SMS = 4
ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


class Result(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_NO_BINARY_FOR_GPU = 209


class DeviceAttribute(enum.IntEnum):
    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
    CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76


class FunctionAttribute(enum.IntEnum):
    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8


OK = Result.CUDA_SUCCESS
Results = tuple[Any, ...]


def from_numbers(array: npt.ArrayLike, dtype: str) -> npt.NDArray[Any]:
    """Numbers in a kernel's dtype; those of bfloat16 as their bits, rounded to nearest."""
    single = np.asarray(array, dtype=np.float32)
    if dtype != "bfloat16":
        return single.astype(dtype)
    bits = single.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def to_numbers(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Back; uint16 are the bits of bfloat16."""
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


class FakeDriver:
    """Stands in for the module `cuda.bindings.driver`."""

    CUresult = Result
    CUdevice_attribute = DeviceAttribute
    CUfunction_attribute = FunctionAttribute

    def __init__(self, cuda: FakeCuda, kernels: KernelFile) -> None:
        """kernels: what modules are told by."""
        self._cuda = cuda
        self._images = {bytes(x.code).rstrip(b"\0"): x for x in kernels.images}
        self._modules: list[KernelImage] = []
        self._attributes = dict(zip(DeviceAttribute, (NUM_SMS, 8, 9), strict=True))

    def cuGetErrorName(self, error: Result) -> Results:
        return OK, error.name.encode()

    def cuGetErrorString(self, error: Result) -> Results:
        return OK, f"text of {int(error)}".encode()

    def cuInit(self, flags: int) -> Results:
        return (OK,)

    def cuDriverGetVersion(self) -> Results:
        return OK, self._cuda.driver

    def cuDeviceGetCount(self) -> Results:
        return OK, self._cuda.gpus

    def cuDeviceGet(self, index: int) -> Results:
        return OK, index

    def cuCtxGetCurrent(self) -> Results:
        return OK, 11

    def cuCtxGetId(self, context: int) -> Results:
        return OK, context

    def cuCtxGetDevice(self) -> Results:
        return OK, self._cuda.current_gpu

    def cuDeviceGetAttribute(self, attribute: DeviceAttribute, device: int) -> Results:
        return OK, self._attributes[attribute]

    def cuModuleLoadData(self, code: bytes) -> Results:
        image = self._images.get(code.rstrip(b"\0"))
        if image is None:
            return Result.CUDA_ERROR_NO_BINARY_FOR_GPU, None
        self._modules.append(image)
        return OK, len(self._modules) - 1

    def cuModuleGetFunction(self, module: int, name: bytes) -> Results:
        return OK, module

    def cuFuncSetAttribute(
        self, function: int, attribute: FunctionAttribute, value: int
    ) -> Results:
        return (OK,)

    def cuLaunchKernel(self, function: int, *arguments: Any) -> Results:
        *_, stream, (values, _), _ = arguments
        image = self._modules[function]
        if image.kernel == ATTEND:
            error = self._cuda.launch(stream, lambda: self._attend(image, values))
            assert error is None
        return (OK,)

    def _attend(self, image: KernelImage, values: Sequence[Any]) -> None:
        """values: in the order of `plugins/README.md`, for a batch of one."""
        query, key, value, mask, *rest = values
        plan_columns = image.variant.plan_columns
        plan = rest.pop(0) if plan_columns else None
        length, heads, longest_full, plan_rows, _, scale, _, output, _ = rest
        shape = (1, heads, length, image.variant.head_dim)
        size = int(np.prod(shape)) * ITEM_BYTES[image.variant.dtype]
        dtype = "uint16" if image.variant.dtype == "bfloat16" else image.variant.dtype
        spans = [(x, size) for x in (query, key, value, output)] + [(mask, 4 * length)]
        if not all(self._cuda.all_memory.holds(*span) for span in spans):
            self._cuda.lose()
            return
        spec = AttentionSpec(
            num_heads=heads,
            block_size=image.variant.block_size,
            num_random_blocks=3,
            longest_full=longest_full,
            scale=scale,
        )
        queries, keys, numbers = (
            to_numbers(bytes_at(x, size).view(dtype).reshape(shape)) for x in (query, key, value)
        )
        table = None
        if plan is not None:
            rows = heads * plan_rows
            table = bytes_at(plan, 4 * rows * plan_columns).view(np.int32).reshape(rows, -1)
        is_seen = bytes_at(mask, 4 * length).view(np.int32).reshape(1, length)
        found = reference.attend(spec, queries, keys, numbers, is_seen, table)
        bytes_at(output, size).view(dtype)[...] = from_numbers(found, image.variant.dtype).reshape(
            -1
        )
