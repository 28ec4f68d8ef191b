"""The stand-ins in the places of the modules that the runtime imports, in a child process."""

from __future__ import annotations

import sys
from typing import Any

from gpu.setting import KERNELS, GateSetting

__all__ = ["bring_stand_ins"]


def bring_stand_ins(setting: GateSetting) -> None:
    """Before anything imports CUDA or TensorRT; nothing if there is a GPU to run on."""
    if not setting.stand_ins:
        return
    from gpu_stand_ins.cuda import FakeCuda
    from gpu_stand_ins.driver import FakeDriver
    from gpu_stand_ins.onnx_plans import open_onnx_plan
    from gpu_stand_ins.tensorrt import FakeTensorRT
    from pegasus_plugins.kernel_file import KernelFile, read_kernel_file

    cuda = FakeCuda(gpu_bytes=2**28)
    path = setting.prepared / KERNELS
    kernels = read_kernel_file(path) if path.exists() else KernelFile(compiler="", images=())
    modules: dict[str, Any] = {
        "cuda.bindings.runtime": cuda,
        "cuda.bindings.driver": FakeDriver(cuda, kernels),
    }
    for name, is_rtx in (("tensorrt", False), ("tensorrt_rtx", True)):
        library = FakeTensorRT(cuda, is_rtx=is_rtx)
        library.open_plan = open_onnx_plan
        modules[name] = library
    sys.modules.update(modules)
