"""Which engine runs a bundle, and where: the choice, and errors that say what stands in the way.

    target        provider          engine
    ort           cpu               ONNX Runtime on the CPU
    ort, fp16     cpu, cuda         ONNX Runtime over preallocated memory
    trt, trt-rtx  tensorrt          TensorRT
    trt, trt-rtx  cpu               their ONNX graphs in ONNX Runtime, where the bundle has them

"auto" is a GPU for bundles that are made for one, and never the CPU in its place.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pegasus_runtime.bundle import PLAN_TARGETS, Bundle
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.native.ort import import_onnxruntime
from pegasus_runtime.native.tensorrt import load_flavour
from pegasus_runtime.sessions.device.engine import DeviceEngine, is_device_bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.sessions.ort.features import OrtFeatures
from pegasus_runtime.sessions.ort.model import OrtModel

if TYPE_CHECKING:
    from pegasus_runtime.decoding.protocol import Engine

__all__ = ["PROVIDERS", "describe_engine", "open_engine"]

PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")


def open_engine(
    bundle: Bundle,
    *,
    provider: str = "auto",
    threads: int | None = None,
    kernel_cache: Path | None = None,
) -> Engine:
    """Loads a bundle's graphs.

    provider: one of PROVIDERS. threads: of engines on the CPU; None for one per core.
    kernel_cache: a file that keeps the kernels which TensorRT for RTX compiles.
    Raises: OptionsError if provider, threads or kernel cache are none for this bundle; EngineError
    if this computer lacks what they need, or a library is missing; BundleError if a graph is not
    the one that the manifest needs.
    """
    if provider not in PROVIDERS:
        raise OptionsError(f"provider is {provider!r}, expected one of {', '.join(PROVIDERS)}")
    is_for_rtx = bundle.manifest.target == "trt-rtx" and provider != "cpu"
    if kernel_cache is not None and not is_for_rtx:
        raise OptionsError(
            "a kernel cache is for TensorRT for RTX, which does not run "
            f"{bundle.folder} here: leave it out"
        )
    if not is_device_bundle(bundle):
        return OrtEngine(bundle, provider=provider, threads=threads)
    if bundle.manifest.target in PLAN_TARGETS:
        if provider == "cpu":
            return _open_on_host(bundle, threads)
        return _open_tensorrt(bundle, provider, kernel_cache)
    if provider in ("auto", "cuda"):
        from pegasus_runtime.sessions.cuda.graph import is_available, open_cuda

        if provider == "cuda" or is_available():
            return open_cuda(bundle)
    if provider == "tensorrt":
        raise OptionsError(
            f"provider 'tensorrt' is for targets trt and trt-rtx, {bundle.folder} is for ort: "
            "use cpu or cuda, or export with --target trt"
        )
    return _open_on_host(bundle, threads)


def describe_engine(engine: object) -> str:
    """What runs, in a line for people: library, version, and what is special about it here."""
    if isinstance(engine, OrtEngine | OrtModel | OrtFeatures):
        return engine.description
    if not isinstance(engine, DeviceEngine):
        return type(engine).__name__
    from pegasus_runtime.sessions.host.device import HostDevice

    is_on_host = isinstance(engine.device, HostDevice)
    if engine.plans is not None and not is_on_host:
        flavour = load_flavour(engine.bundle.manifest.target)
        return f"{flavour.title} {flavour.version}"
    place = "the CPU, stock operators" if is_on_host else "CUDA"
    return f"ONNX Runtime {import_onnxruntime().__version__}, {place}"


def _open_on_host(bundle: Bundle, threads: int | None) -> DeviceEngine:
    from pegasus_runtime.sessions.host.device import HostDevice
    from pegasus_runtime.sessions.host.graph import load_host_graphs

    plans = bundle.manifest.plans
    if plans is not None and plans.version is not None:
        raise OptionsError(
            f"{bundle.folder}: its graphs were built into plans for a GPU, the CPU cannot run "
            "them: use provider tensorrt, or export with --onnx-only or --target ort"
        )
    return DeviceEngine(bundle, HostDevice(), load_host_graphs(bundle, threads=threads))


def _open_tensorrt(bundle: Bundle, provider: str, kernel_cache: Path | None) -> DeviceEngine:
    if provider == "cuda":
        raise OptionsError(
            f"provider 'cuda' is for target ort, {bundle.folder} is for "
            f"{bundle.manifest.target}: use tensorrt"
        )
    from pegasus_runtime.sessions.cuda.device import CudaDevice
    from pegasus_runtime.sessions.tensorrt.plans import built_plans, load_plans

    built_plans(bundle)  # what is missing there is said first, before a driver is
    device = CudaDevice()
    return DeviceEngine(bundle, device, load_plans(bundle, device, runtime_cache=kernel_cache))
