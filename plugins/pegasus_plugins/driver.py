"""Launching compiled kernels through CUDA's driver: what TensorRT's plugin does, without TensorRT.

    launcher = AttentionLauncher(read_kernel_file(path))
    launcher.launch(spec, shape, memory, stream)

Every call needs a current CUDA context on its thread, as TensorRT and torch set up.
Dimensions: B batch, H heads, S source, Dh head dim, L' rows of a plan, r its columns.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pegasus_plugins.cuda_calls import CudaCallError, CudaCalls, import_cuda
from pegasus_plugins.gpus import cuda_text
from pegasus_plugins.kernel_file import (
    ATTEND,
    COMBINE,
    KernelFile,
    KernelFileError,
    KernelImage,
    KernelVariant,
)
from pegasus_plugins.launch import Launch, plan_launch
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.specification import AttentionSpec, SpecificationError

__all__ = [
    "UNASKED_SHARED_BYTES",
    "WARP_THREADS",
    "AttentionLauncher",
    "AttentionMemory",
    "AttentionShape",
    "Gpu",
    "capability_to_build_for",
    "current_gpu",
    "has_current_gpu",
]

_POINTER, _INT, _FLOAT = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
_Argument = tuple[Any, int | float]  # its C type, its value
_ALIGNMENT = 16
UNASKED_SHARED_BYTES = 48 * 1024
"""More dynamic shared memory than this has to be asked for, once per loaded kernel."""
WARP_THREADS = 32
"""Of a warp."""
_REFUSED_IMAGES = (
    "CUDA_ERROR_INVALID_IMAGE",
    "CUDA_ERROR_NO_BINARY_FOR_GPU",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
)
_PLENTY_OF_SMS = 256
"""More than any GPU has, for builds on machines without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionShape:
    """What is computed. batch: B. length: S. plan_rows: L'; 0 without a plan."""

    variant: KernelVariant
    batch: int
    length: int
    plan_rows: int = 0

    def check(self, spec: AttentionSpec) -> None:
        """Raises: SpecificationError if the operator with these attributes does not take it."""
        if self.variant.block_size != spec.block_size:
            raise SpecificationError(
                f"the kernel is for blocks of {self.variant.block_size}, block_size is "
                f"{spec.block_size}"
            )
        if self.variant.plan_columns:
            spec.check_plan(self.plan_rows, self.variant.plan_columns, self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionMemory:
    """Addresses in device memory, each a multiple of 16; what lies there is in `plugins/README.md`.

    plan: 0 without one. workspace: of at least `AttentionLauncher.workspace_bytes`, or 0 if that
    is 0.
    """

    query: int
    key: int
    value: int
    key_mask: int
    output: int
    plan: int = 0
    workspace: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """The GPU of a CUDA context. capability: such as "8.7"."""

    context_id: int
    capability: str
    num_sms: int


class AttentionLauncher:
    """Launches the kernels of a file; each is loaded once per CUDA context, and stays in it."""

    def __init__(self, kernels: KernelFile, *, driver: Any = None) -> None:
        """driver: a stand-in for `cuda.bindings.driver`, which is only imported when needed."""
        self._kernels = kernels
        self._driver = driver
        self._loaded: dict[tuple[int, str, KernelVariant], tuple[KernelImage, Any]] = {}
        self._lock = threading.Lock()

    def gpu(self) -> Gpu:
        """Of the current context. Raises: PluginError if there is none."""
        return current_gpu(self._calls())

    def prepare(self, variant: KernelVariant) -> None:
        """Loads what a launch needs, so that the first one, or a capture, need not.

        On a thread without a CUDA context, such as one of a build's, nothing can be loaded: the
        file has to have the kernels for some GPU, and the launch loads them.
        Raises: KernelFileError if the file has no kernels for this GPU; PluginError.
        """
        if not has_current_gpu(self._calls()):
            for kernel in (ATTEND, COMBINE):
                self._kernels.require(kernel, variant)
            return
        gpu = self.gpu()
        self._load(ATTEND, variant, gpu)
        self._load(COMBINE, variant, gpu)

    def workspace_rows(self, block_size: int) -> int:
        """What an engine's workspace is for: rows of queries that all programs compute at once.

        On the largest GPU of this machine, by the kernels of a block size b that compute the most;
        `launch.workspace_limit` makes bytes of it. Raises: KernelFileError if there are none.
        """
        tiles = [
            x.tile_rows
            for x in self._kernels.images
            if x.kernel == ATTEND and x.variant.block_size == block_size
        ]
        if not tiles:
            raise KernelFileError(
                f"no kernel has blocks of {block_size}: compile one with python -m "
                "pegasus_plugins.compile_kernels"
            )
        return max(tiles) * _most_multiprocessors(self._calls())

    def workspace_bytes(self, spec: AttentionSpec, shape: AttentionShape) -> int:
        """What a `launch` without `workspace_rows` needs. Raises: as `launch`."""
        gpu = self.gpu()
        image = self._kernels.find(ATTEND, shape.variant, gpu.capability)
        return _planned(spec, shape, image, gpu.num_sms).workspace_bytes

    def launch(
        self,
        spec: AttentionSpec,
        shape: AttentionShape,
        memory: AttentionMemory,
        stream: int,
        *,
        workspace_rows: int | None = None,
    ) -> None:
        """Enqueues the kernels on a stream, a `CUstream` as a number.

        workspace_rows: what the workspace is for, perhaps on another machine: what it has no room
        for is not split. None: it has `workspace_bytes`. Nothing happens for an empty batch.
        Raises: SpecificationError for a shape that the operator does not take; KernelFileError if
        the file has no kernels for it on this GPU; PluginError if CUDA fails.
        """
        shape.check(spec)
        gpu = self.gpu()
        image, attend = self._load(ATTEND, shape.variant, gpu)
        num_sms = gpu.num_sms
        if workspace_rows is not None:
            num_sms = min(num_sms, workspace_rows // image.tile_rows)
        planned = _planned(spec, shape, image, num_sms)
        if not planned.num_programs:
            return
        _check_memory(memory, shape, planned)
        arguments = _attend_arguments(spec, shape, memory, planned)
        self._enqueue(image, attend, planned.num_programs, arguments, stream)
        if planned.combine_programs:
            combine_image, combine = self._load(COMBINE, shape.variant, gpu)
            if combine_image.tile_rows != image.tile_rows:
                raise KernelFileError(
                    f"{COMBINE} computes {combine_image.tile_rows} rows per program, {ATTEND} "
                    f"{image.tile_rows}: compile both with python -m "
                    "pegasus_plugins.compile_kernels"
                )
            arguments = _combine_arguments(spec, shape, memory, planned)
            self._enqueue(combine_image, combine, planned.combine_programs, arguments, stream)

    def _calls(self) -> CudaCalls:
        if self._driver is None:
            self._driver = import_cuda("driver")
        return CudaCalls(self._driver)

    def _load(self, kernel: str, variant: KernelVariant, gpu: Gpu) -> tuple[KernelImage, Any]:
        key = (gpu.context_id, kernel, variant)
        with self._lock:
            if key not in self._loaded:
                image = self._kernels.find(kernel, variant, gpu.capability)
                self._loaded[key] = image, _load_function(self._calls(), image)
            return self._loaded[key]

    def _enqueue(
        self,
        image: KernelImage,
        function: Any,
        num_programs: int,
        arguments: Sequence[_Argument],
        stream: int,
    ) -> None:
        types, values = zip(*arguments, strict=True)
        self._calls()(
            "cuLaunchKernel",
            function,
            *(num_programs, 1, 1),
            *(WARP_THREADS * image.num_warps, 1, 1),
            image.shared_bytes,
            stream,
            (values, types),
            0,
        )


def has_current_gpu(calls: CudaCalls) -> bool:
    """Whether this thread has a CUDA context; also False where there is no driver."""
    try:
        return bool(int(calls("cuCtxGetCurrent")))
    except PluginError:
        return False


def current_gpu(calls: CudaCalls | None = None) -> Gpu:
    """The GPU of this thread's CUDA context. Raises: PluginError if there is none."""
    calls = CudaCalls(import_cuda("driver")) if calls is None else calls
    context = calls("cuCtxGetCurrent")
    if not int(context):
        raise PluginError("no CUDA context is current on this thread: initialise the GPU first")
    device = calls("cuCtxGetDevice")
    return Gpu(
        context_id=int(calls("cuCtxGetId", context)),
        capability=_capability(calls, device),
        num_sms=_attribute(calls, device, "MULTIPROCESSOR_COUNT"),
    )


def capability_to_build_for(calls: CudaCalls | None = None) -> str:
    """Of this thread's CUDA context. A thread without one has chosen no GPU, and CUDA's runtime,
    TensorRT's too, then takes the first. Raises: PluginError if there is none."""
    calls = CudaCalls(import_cuda("driver")) if calls is None else calls
    if has_current_gpu(calls):
        return _capability(calls, calls("cuCtxGetDevice"))
    calls("cuInit", 0)
    return _capability(calls, calls("cuDeviceGet", 0))


def _capability(calls: CudaCalls, device: Any) -> str:
    major = _attribute(calls, device, "COMPUTE_CAPABILITY_MAJOR")
    return f"{major}.{_attribute(calls, device, 'COMPUTE_CAPABILITY_MINOR')}"


def _most_multiprocessors(calls: CudaCalls) -> int:
    """Of the machine's largest GPU; plenty if there is none."""
    try:
        calls("cuInit", 0)
        devices = [calls("cuDeviceGet", index) for index in range(calls("cuDeviceGetCount"))]
    except PluginError:
        devices = []
    counts = [_attribute(calls, device, "MULTIPROCESSOR_COUNT") for device in devices]
    return max(counts, default=_PLENTY_OF_SMS)


def _attribute(calls: CudaCalls, device: Any, name: str) -> int:
    attribute = getattr(calls.module.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
    return int(calls("cuDeviceGetAttribute", attribute, device))


def _load_function(calls: CudaCalls, image: KernelImage) -> Any:
    has = calls("cuDriverGetVersion")
    what = f"the {image.kind} of {image.kernel} for compute capability {image.capability}"
    if has < image.least_driver:
        raise PluginError(
            f"{what} needs a driver of CUDA {cuda_text(image.least_driver)}, this one is of CUDA "
            f"{cuda_text(has)}: update the driver"
        )
    code = image.code if image.kind == "cubin" else image.code.rstrip(b"\0") + b"\0"
    try:
        module = calls("cuModuleLoadData", code)
    except CudaCallError as err:
        if err.code not in _REFUSED_IMAGES:
            raise
        raise PluginError(
            f"{err}: a driver of CUDA {cuda_text(has)} does not take {what}: update it, or compile "
            "the kernels again with python -m pegasus_plugins.compile_kernels"
        ) from err
    function = calls("cuModuleGetFunction", module, image.kernel.encode())
    if image.shared_bytes > UNASKED_SHARED_BYTES:
        name = "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"
        attribute = getattr(calls.module.CUfunction_attribute, name)
        calls("cuFuncSetAttribute", function, attribute, image.shared_bytes)
    return function


def _planned(
    spec: AttentionSpec, shape: AttentionShape, image: KernelImage, num_sms: int
) -> Launch:
    return plan_launch(
        spec,
        batch=shape.batch,
        length=shape.length,
        head_dim=shape.variant.head_dim,
        tile_rows=image.tile_rows,
        num_sms=num_sms,
        programs_per_sm=image.programs_per_sm,
    )


def _check_memory(memory: AttentionMemory, shape: AttentionShape, planned: Launch) -> None:
    needed = ["query", "key", "value", "key_mask", "output"]
    needed += ["plan"] if shape.variant.plan_columns else []
    needed += ["workspace"] if planned.workspace_bytes else []
    for name in needed:
        address = getattr(memory, name)
        if not address or address % _ALIGNMENT:
            raise PluginError(
                f"{name} is at address {address:#x}, expected a multiple of {_ALIGNMENT} and not 0"
            )


def _attend_arguments(
    spec: AttentionSpec, shape: AttentionShape, memory: AttentionMemory, planned: Launch
) -> list[_Argument]:
    """In the order of `plugins/README.md`."""
    has_plan = shape.variant.plan_columns > 0
    return [
        (_POINTER, memory.query),
        (_POINTER, memory.key),
        (_POINTER, memory.value),
        (_POINTER, memory.key_mask),
        *([(_POINTER, memory.plan)] if has_plan else []),
        (_INT, shape.length),
        (_INT, spec.num_heads),
        (_INT, spec.longest_full),
        (_INT, shape.plan_rows // spec.num_heads if has_plan else 0),
        (_INT, planned.num_splits),
        (_FLOAT, spec.scale),
        (_FLOAT, spec.first_bias(has_plan=has_plan)),
        (_POINTER, memory.output),
        (_POINTER, memory.workspace if planned.workspace_bytes else 0),
    ]


def _combine_arguments(
    spec: AttentionSpec, shape: AttentionShape, memory: AttentionMemory, planned: Launch
) -> list[_Argument]:
    """In the order of `plugins/README.md`."""
    return [
        (_POINTER, memory.workspace),
        (_POINTER, memory.key_mask),
        (_INT, shape.length),
        (_INT, spec.num_heads),
        (_INT, planned.num_splits),
        (_POINTER, memory.output),
    ]
