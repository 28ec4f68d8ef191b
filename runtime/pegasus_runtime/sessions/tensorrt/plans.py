"""The plans of a bundle in TensorRT or TensorRT for RTX, after checks that they can run here.

- kernels.py  compiled kernels, kept between processes
- plugin.py   what a plan calls that TensorRT has not
- graph.py    one plan
"""

from __future__ import annotations

import mmap
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pegasus_runtime.bundle import Bundle, GraphSpec, PlanSpec, TensorSpec
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.native.tensorrt import LibraryLog, library_log, load_flavour, start_library
from pegasus_runtime.sessions.cuda.device import CudaDevice
from pegasus_runtime.sessions.tensorrt.graph import PlanSession, PlanTensor, Scratch, TensorRTGraph
from pegasus_runtime.sessions.tensorrt.kernels import KernelCache
from pegasus_runtime.sessions.tensorrt.plugin import bring_plugin

__all__ = ["built_plans", "load_plans"]

_DTYPES = {  # TensorRT's names -> the manifest's
    "BF16": "bfloat16",
    "BOOL": "bool",
    "FLOAT": "float32",
    "HALF": "float16",
    "INT32": "int32",
    "INT64": "int64",
    "INT8": "int8",
    "UINT8": "uint8",
}


def load_plans(
    bundle: Bundle,
    device: CudaDevice,
    *,
    capture: Collection[str] = ("decoder_step",),
    runtime_cache: Path | None = None,
    library: Any = None,
) -> dict[str, TensorRTGraph]:
    """All graphs of a bundle of target trt or trt-rtx, by name.

    A plan may hold code: load only bundles that you trust.
    capture: names of the graphs that are recorded as CUDA graphs when they run again on the same
    memory. runtime_cache: for trt-rtx, the file in which kernels that were compiled for this GPU
    are kept. library: a stand-in for the module of TensorRT.
    Raises: EngineError if the plans are not for this library or this GPU, or cannot be loaded;
    BundleError if they are not what the manifest says.
    """
    plans = built_plans(bundle)
    library = _import_library(bundle) if library is None else library
    _check_version(bundle, plans, library)
    _check_capability(bundle, plans, device)
    kernels = _open_kernels(library, runtime_cache)
    log = library_log(library)
    with device.hold():
        bring_plugin(bundle, plans.plugin, library)
        title = f"{library.__name__} {library.__version__}"
        runtime = start_library(library.Runtime, log, title, log.take_error)
        engines = {name: _load_engine(bundle, name, runtime, log) for name in plans.profiles}
        tensors = {name: _checked_tensors(bundle, name, engines[name], library) for name in engines}
    needs = [
        engine.get_device_memory_size_for_profile_v2(profile)
        for engine in engines.values()
        for profile in range(engine.num_optimization_profiles)
    ]
    session = PlanSession(
        library=library,
        log=log,
        device=device,
        scratch=Scratch(device, max(needs)),
        kernels=kernels,
    )
    return {
        name: TensorRTGraph(name, engines[name], tensors[name], session, capture=name in capture)
        for name in engines
    }


def built_plans(bundle: Bundle) -> PlanSpec:
    """What is said of the plans. Raises: EngineError if there are none."""
    plans = bundle.manifest.plans
    if plans is None:
        raise EngineError(
            f"{bundle.folder}: target {bundle.manifest.target} has no plans of TensorRT: export "
            "with --target trt or trt-rtx"
        )
    if plans.version is None:
        raise EngineError(
            f"{bundle.folder}: no plans were built of its graphs yet: run pegasus-build "
            f"{bundle.folder}"
        )
    return plans


def _import_library(bundle: Bundle) -> Any:
    try:
        return load_flavour(bundle.manifest.target).module
    except EngineError as err:
        raise EngineError(f"{err}, or use a bundle of --target ort") from err


def _check_version(bundle: Bundle, plans: PlanSpec, library: Any) -> None:
    """TensorRT loads plans of its own version only, and says so in numbers of its file format."""
    installed = str(library.__version__)
    if plans.version != installed:
        raise EngineError(
            f"{bundle.folder}: its plans were built with {library.__name__} {plans.version}, "
            f"installed is {installed}: install that version, or build them again with "
            "pegasus-build, from the bundle of graphs that they came from"
        )


def _check_capability(bundle: Bundle, plans: PlanSpec, device: CudaDevice) -> None:
    here = device.compute_capability()
    if here in plans.compute_capabilities:
        return
    if bundle.manifest.target == "trt-rtx":
        hint = f"export again with --compute-capability {here}"
    else:
        hint = (
            "build them again on this machine with pegasus-build, from the bundle of "
            "graphs that they came from"
        )
    raise EngineError(
        f"{bundle.folder}: its plans are for GPUs of compute capability "
        f"{', '.join(plans.compute_capabilities)}, {device.name()} has {here}: {hint}"
    )


def _open_kernels(library: Any, path: Path | None) -> KernelCache | None:
    if hasattr(library, "IRuntimeCache"):
        return KernelCache(path)
    if path is not None:
        raise EngineError(
            f"{library.__name__} compiles nothing at run time that {path} could keep: give no "
            "runtime_cache"
        )
    return None


def _load_engine(bundle: Bundle, name: str, runtime: Any, log: LibraryLog) -> Any:
    path = bundle.path(bundle.manifest.graphs[name].file)
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as plan,
        ):
            engine = runtime.deserialize_cuda_engine(plan)
    except (OSError, ValueError) as err:  # ValueError: the file is empty
        raise EngineError(f"{path}: cannot be read: {err}: copy the bundle again") from err
    if engine is None:
        raise EngineError(
            f"{path}: TensorRT cannot load it: {log.take_error()}: build it again with "
            "pegasus-build, from the bundle of graphs that it came from"
        )
    return engine


def _checked_tensors(
    bundle: Bundle, name: str, engine: Any, library: Any
) -> tuple[PlanTensor, ...]:
    """The inputs and outputs of a plan. Raises: BundleError if they are not the manifest's."""
    spec = bundle.manifest.graphs[name]
    tensors = tuple(
        _read_tensor(engine, engine.get_tensor_name(index), library)
        for index in range(engine.num_io_tensors)
    )
    problem = _find_difference(spec, tensors)
    for tensor in tensors:
        if engine.get_tensor_location(tensor.name) != library.TensorLocation.DEVICE:
            problem = f"{tensor.name} has to be in the computer's memory"
    if problem:
        raise BundleError(
            f"{bundle.folder / spec.file}: {problem}, unlike graph {name} of the manifest: export "
            "the checkpoint again"
        )
    return tensors


def _read_tensor(engine: Any, name: str, library: Any) -> PlanTensor:
    dtype = engine.get_tensor_dtype(name).name
    return PlanTensor(
        name=name,
        is_input=engine.get_tensor_mode(name) == library.TensorIOMode.INPUT,
        dtype=_DTYPES.get(dtype, dtype),
        shape=tuple(engine.get_tensor_shape(name)),
    )


def _find_difference(spec: GraphSpec, tensors: tuple[PlanTensor, ...]) -> str | None:
    expected = {x.name: x for x in (*spec.inputs, *spec.outputs)}
    found = {x.name: x for x in tensors}
    for name in sorted(set(expected) - set(found)):
        return f"lacks {name}"
    for name in sorted(set(found) - set(expected)):
        return f"has {name}"
    inputs = {x.name for x in spec.inputs}
    for name, tensor in found.items():
        kind = "input" if tensor.is_input else "output"
        if tensor.is_input != (name in inputs):
            return f"{name} is an {kind}"
        if tensor.dtype != expected[name].dtype or not _has_shape(tensor, expected[name]):
            return f"{kind} {name} is {tensor.dtype} {list(tensor.shape)}"
    return None


def _has_shape(tensor: PlanTensor, spec: TensorSpec) -> bool:
    """TensorRT says -1 for a size that depends on others; it may well be fixed."""
    return len(tensor.shape) == len(spec.shape) and all(
        isinstance(expected, str) or size in (expected, -1)
        for size, expected in zip(tensor.shape, spec.shape, strict=True)
    )
