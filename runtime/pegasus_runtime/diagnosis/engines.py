"""Libraries that run graphs: each is loaded, to see whether it can be."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

from pegasus_runtime.diagnosis.finding import Finding
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.kernels import Kernels, look_for_kernels
from pegasus_runtime.native.ort import import_onnxruntime
from pegasus_runtime.native.tensorrt import load_flavour

__all__ = ["find_cpu_kernels", "find_cuda_bindings", "find_onnxruntime", "find_tensorrt"]


def find_onnxruntime() -> Finding:
    name = "ONNX Runtime"
    try:
        library = import_onnxruntime()
    except EngineError as err:
        return _failed(name, err)
    providers = [each.removesuffix("ExecutionProvider") for each in _providers(library)]
    return Finding(name=name, value=f"{library.__version__}: {', '.join(providers)}", is_fine=True)


def find_cpu_kernels() -> Finding:
    found = look_for_kernels()
    if isinstance(found, Kernels):
        operators = ", ".join(sorted(found.operators))
        return Finding(name="CPU kernels", value=f"{found}: {operators}", is_fine=True)
    value = found.reason or "not installed"
    is_broken = bool(found.advice)
    return Finding(
        name="CPU kernels",
        value=value,
        is_fine=False if is_broken else None,
        advice=found.advice,
    )


def find_tensorrt(target: str) -> Finding:
    """target: trt or trt-rtx."""
    name, module = {
        "trt": ("TensorRT", "tensorrt"),
        "trt-rtx": ("TensorRT for RTX", "tensorrt_rtx"),
    }[target]
    if find_spec(module) is None:
        return Finding(name=name, value="not installed", is_fine=False)
    try:
        return Finding(name=name, value=load_flavour(target).version, is_fine=True)
    except EngineError as err:
        return _failed(name, err)


def find_cuda_bindings() -> Finding:
    name = "cuda-bindings"
    try:
        library = importlib.import_module("cuda.bindings")
    except ModuleNotFoundError:
        return Finding(name=name, value="not installed", is_fine=False)
    except ImportError as err:
        return _failed(name, err)
    return Finding(name=name, value=str(library.__version__), is_fine=True)


def _providers(library: object) -> list[str]:
    return list(library.get_available_providers())  # type: ignore[attr-defined]


def _failed(name: str, err: Exception) -> Finding:
    return Finding(name=name, value=" ".join(str(err).split()), is_fine=False)
