"""CUDA's driver as `cuda.bindings.driver` has it: it records what is loaded and launched."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from gpu_stand_ins.driver import DeviceAttribute, FunctionAttribute


class Result(enum.IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_INVALID_IMAGE = 200
    CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222


@dataclass(frozen=True)
class Launched:
    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int
    stream: int
    values: tuple[Any, ...]
    types: tuple[str, ...]


class FakeDriver:
    CUresult = Result
    CUdevice_attribute = DeviceAttribute
    CUfunction_attribute = FunctionAttribute

    def __init__(self, capability: tuple[int, int] = (8, 7), num_sms: int = 16) -> None:
        self.attributes = dict(zip(DeviceAttribute, (num_sms, *capability), strict=True))
        self.context = 11
        self.num_devices = 1
        """Each has as many multiprocessors more as the first has."""
        self.loaded: list[bytes] = []
        self.functions: list[str] = []
        self.shared_bytes: dict[int, int] = {}
        self.launched: list[Launched] = []
        self.version = 12060
        self.failing = ""
        """The name of a call that fails."""
        self.refusal = Result.CUDA_SUCCESS
        """What the driver says of images."""
        self.has_driver = True

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("cu") and "Error" not in name:
            if not self.has_driver:
                raise RuntimeError("no driver\n was found")
            if name == self.failing:
                return lambda *arguments: (Result.CUDA_ERROR_INVALID_VALUE, None)
        return found

    def cuGetErrorName(self, error: Result) -> tuple[Result, bytes]:  # noqa: N802
        return Result.CUDA_SUCCESS, error.name.encode()

    def cuGetErrorString(self, error: Result) -> tuple[Result, bytes]:  # noqa: N802
        return Result.CUDA_SUCCESS, b"invalid argument"

    def cuInit(self, flags: int) -> tuple[Result]:  # noqa: N802
        assert flags == 0
        return (Result.CUDA_SUCCESS,)

    def cuDriverGetVersion(self) -> tuple[Result, int]:  # noqa: N802
        return Result.CUDA_SUCCESS, self.version

    def cuDeviceGetCount(self) -> tuple[Result, int]:  # noqa: N802
        return Result.CUDA_SUCCESS, self.num_devices

    def cuDeviceGet(self, index: int) -> tuple[Result, int]:  # noqa: N802
        return Result.CUDA_SUCCESS, index

    def cuCtxGetCurrent(self) -> tuple[Result, int]:  # noqa: N802
        return Result.CUDA_SUCCESS, self.context

    def cuCtxGetId(self, context: int) -> tuple[Result, int]:  # noqa: N802
        return Result.CUDA_SUCCESS, context * 1000

    def cuCtxGetDevice(self) -> tuple[Result, int]:  # noqa: N802
        return Result.CUDA_SUCCESS, 0

    def cuDeviceGetAttribute(  # noqa: N802
        self, attribute: DeviceAttribute, device: int
    ) -> tuple[Result, int]:
        assert device < self.num_devices
        is_count = attribute == DeviceAttribute.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
        return Result.CUDA_SUCCESS, self.attributes[attribute] * (device + 1 if is_count else 1)

    def cuModuleLoadData(self, code: bytes) -> tuple[Result, int]:  # noqa: N802
        self.loaded.append(code)
        return self.refusal, len(self.loaded)

    def cuModuleGetFunction(self, module: int, name: bytes) -> tuple[Result, int]:  # noqa: N802
        assert module == len(self.loaded)
        self.functions.append(name.decode())
        return Result.CUDA_SUCCESS, len(self.functions) - 1

    def cuFuncSetAttribute(  # noqa: N802
        self, function: int, attribute: FunctionAttribute, value: int
    ) -> tuple[Result]:
        assert attribute.name == "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"
        self.shared_bytes[function] = value
        return (Result.CUDA_SUCCESS,)

    def cuLaunchKernel(self, function: int, *arguments: Any) -> tuple[Result]:  # noqa: N802
        *sizes, shared_bytes, stream, (values, types), extra = arguments
        assert extra == 0
        for value, kind in zip(values, types, strict=True):
            kind(value)
        grid, block = tuple(sizes[:3]), tuple(sizes[3:])
        names = tuple(kind.__name__.removeprefix("c_") for kind in types)
        kernel = self.functions[function]
        self.launched.append(Launched(kernel, grid, block, shared_bytes, stream, values, names))
        return (Result.CUDA_SUCCESS,)
