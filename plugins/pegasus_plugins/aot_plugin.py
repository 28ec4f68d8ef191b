"""The operator as an ahead-of-time plugin of TensorRT: its kernel becomes part of the engine.

    register_aot_plugin(tensorrt)

Engines that are built with it need nothing of this package when they run. What TensorRT can pass to
such a kernel are the inputs, then 32-bit integers, then the outputs; so what else an attention
depends on is compiled into it, for each layer at the time of the build (with Triton). There is one
kernel per layer and no workspace: the keys of the first and the last block are never split, which
costs time with long sources in small batches.

Source: TensorRT's Python API, tensorrt.plugin (10.9 and later, experimental).
"""

import functools
import importlib
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pegasus_plugins.callback_log import logged
from pegasus_plugins.driver import UNASKED_SHARED_BYTES, WARP_THREADS, capability_to_build_for
from pegasus_plugins.kernel_file import ATTEND, KernelVariant
from pegasus_plugins.operator_inputs import (
    ATTRIBUTES,
    TENSORRT_DTYPES,
    InputTensor,
    check_inputs,
    spec_from_attributes,
)
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.specification import NAME, NAMESPACE, AttentionSpec, SpecificationError
from pegasus_plugins.tuning import tune

__all__ = [
    "AotKernel",
    "CompileAot",
    "aot_arguments",
    "aot_constants",
    "compile_aot",
    "register_aot_plugin",
]

_LOCK = threading.Lock()
_ATTRIBUTE_ARRAYS = {
    name: NDArray[np.float32] if kind is float else NDArray[np.int32]
    for name, kind in ATTRIBUTES.items()
}
"""Arrays of one number: up to TensorRT 10.16, plain numbers fail with NumPy 2.4 and later."""


class AotKernel(Protocol):
    """A compiled kernel whose arguments are `aot_arguments`; see `KernelImage`."""

    @property
    def text(self) -> str:
        """PTX; its entry is ATTEND."""

    @property
    def num_warps(self) -> int: ...

    @property
    def shared_bytes(self) -> int: ...

    @property
    def tile_rows(self) -> int: ...


CompileAot = Callable[[AttentionSpec, KernelVariant, str], AotKernel]
"""Compiles for attributes, a variant and a compute capability such as "8.7"."""


def aot_arguments(variant: KernelVariant) -> tuple[str, ...]:
    """The arguments that kernel `attend_blocks` keeps, in TensorRT's and its own order."""
    inputs = ("query", "key", "value", "key_mask")
    if variant.plan_columns:
        return (*inputs, "plan", "length", "plan_rows", "output")
    return (*inputs, "length", "output")


def aot_constants(spec: AttentionSpec, variant: KernelVariant) -> dict[str, int | float | None]:
    """The arguments that it is compiled for instead."""
    has_plan = variant.plan_columns > 0
    return {
        "num_heads": spec.num_heads,
        "longest_full": spec.longest_full,
        **({} if has_plan else {"plan_rows": 0}),
        "num_splits": 1,
        "scale": spec.scale,
        "first_bias": spec.first_bias(has_plan=has_plan),
        "partial": None,
    }


def compile_aot(spec: AttentionSpec, variant: KernelVariant, capability: str) -> AotKernel:
    """With Triton, and with so few tiles under way that its shared memory need not be asked for,
    which TensorRT is not known to do.

    Raises: PluginError if Triton is not installed, or one tile is too much already; PtxError.
    """
    compiler = importlib.import_module("pegasus_plugins.compile_kernels")
    cut = tune(variant)
    constants = aot_constants(spec, variant)
    try:
        for num_stages in range(cut.num_stages, 0, -1):
            compiled: AotKernel = compiler.compile_ptx(
                ATTEND,
                variant,
                capability,
                constants=constants,
                tuning=replace(cut, num_stages=num_stages),
            )
            if compiled.shared_bytes <= UNASKED_SHARED_BYTES:
                return compiled
    except ModuleNotFoundError as err:
        raise PluginError(
            f"{err.name} is not installed, which compiles the kernels of engines: pip install "
            "'pegasus-edge[plugin]' (on Linux), or choose another way to bring the plugin in"
        ) from err
    raise PluginError(
        f"the kernel for head dim {variant.head_dim} and blocks of {variant.block_size} takes "
        f"{compiled.shared_bytes} bytes of shared memory, an ahead-of-time plugin is given "
        f"{UNASKED_SHARED_BYTES}: choose another way to bring the plugin in"
    )


def register_aot_plugin(
    library: Any,
    *,
    with_plan: bool = False,
    compile_kernel: CompileAot = compile_aot,
    capability: Callable[[], str] | None = None,
) -> None:
    """Makes the plugin known to TensorRT, once per process; only builds need it.

    library: the module `tensorrt`. with_plan: whether the nodes have the input `plan`: plugins of
    this kind have a fixed number of inputs, so one process builds engines of either pattern.
    compile_kernel: what compiles; capability: tells the compute capability of the GPU to build for,
    None for `capability_to_build_for`.
    Raises: PluginError if this TensorRT takes no such plugins, or was given this one otherwise.
    """
    with _LOCK:
        if not _is_registered(library, with_plan, compile_kernel):
            _register(library, with_plan, compile_kernel, capability or capability_to_build_for)


def _is_registered(library: Any, with_plan: bool, compile_kernel: CompileAot) -> bool:
    """Raises: PluginError if it is, but otherwise."""
    registered = _registered(library)
    if registered and registered != [(with_plan, compile_kernel)]:
        raise PluginError(
            f"{library.__name__} has {NAMESPACE}::{NAME} already, for nodes "
            f"{'with' if registered[0][0] else 'without'} a plan: TensorRT takes one kind per "
            "process, start another"
        )
    return bool(registered)


def _register(
    library: Any, with_plan: bool, compile_kernel: CompileAot, capability: Callable[[], str]
) -> None:
    plugin = _import_plugin_module(library)
    describe, implement = _callbacks(plugin, with_plan, compile_kernel, capability)
    try:
        plugin.register(f"{NAMESPACE}::{NAME}")(describe)
        plugin.aot_impl(f"{NAMESPACE}::{NAME}")(implement)
    except ValueError as err:  # what tensorrt.plugin raises
        raise PluginError(f"{library.__name__} does not take {NAMESPACE}::{NAME}: {err}") from err
    _registered(library).append((with_plan, compile_kernel))


@functools.cache
def _registered(library: Any) -> list[tuple[bool, CompileAot]]:
    """How it was registered; empty before."""
    return []


def _import_plugin_module(library: Any) -> Any:
    name = f"{library.__name__}.plugin"
    try:
        plugin = importlib.import_module(name)
    except ImportError as err:
        raise PluginError(
            f"{name} cannot be imported ({err}): install TensorRT 10.9 or later, pip install "
            "'pegasus-edge[trt]', or choose another way to bring the plugin in"
        ) from err
    if not hasattr(plugin, "aot_impl"):
        raise PluginError(
            f"{name} has no aot_impl: install TensorRT 10.9 or later, pip install "
            "'pegasus-edge[trt]', or choose another way to bring the plugin in"
        )
    return plugin


def _callbacks(
    plugin: Any, with_plan: bool, compile_kernel: CompileAot, capability: Callable[[], str]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The description and the implementation.

    TensorRT reads names and annotations from their signatures, and calls them with the inputs, then
    the attributes (the first by name, the second by position), then the outputs and a tactic.
    """
    inputs = ("query", "key", "value", "key_mask", *(("plan",) if with_plan else ()))
    tensors = dict.fromkeys(inputs, plugin.TensorDesc)
    outputs = tuple[plugin.TensorDesc]

    @logged
    def describe(*tensors: Any, **attributes: Any) -> Any:
        _spec(attributes)
        return (tensors[0].like(),)

    @logged
    def implement(*arguments: Any) -> Any:
        tensors, attributes = arguments[: len(inputs)], arguments[len(inputs) : -2]
        spec = _spec(dict(zip(ATTRIBUTES, attributes, strict=True)))
        variant = _variant(spec, tensors)
        kernel = compile_kernel(spec, variant, capability())
        launch, extra = _launch(plugin, spec, tensors, kernel)
        return ATTEND, kernel.text, launch, extra

    returns = tuple[str, str, plugin.KernelLaunchParams, plugin.SymIntExprs]
    ends = {"outputs": outputs, "tactic": int}
    _sign(describe, {**tensors, **_ATTRIBUTE_ARRAYS}, outputs)
    _sign(implement, {**tensors, **_ATTRIBUTE_ARRAYS, **ends}, returns)
    return describe, implement


def _sign(function: Any, parameters: Mapping[str, Any], returns: Any) -> None:
    function.__signature__ = inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
            for name, annotation in parameters.items()
        ],
        return_annotation=returns,
    )


def _spec(attributes: Mapping[str, NDArray[Any]]) -> AttentionSpec:
    return spec_from_attributes({name: value.tolist() for name, value in attributes.items()})


def _variant(spec: AttentionSpec, tensors: Sequence[Any]) -> KernelVariant:
    """Raises: SpecificationError for inputs that the operator does not take."""
    inputs = [_input(tensor) for tensor in tensors]
    check_inputs(spec, inputs)
    query, columns = inputs[0], inputs[4].shape[1] if len(inputs) == 5 else 0
    if min(query.shape[3], columns) < 0:
        raise SpecificationError(
            "the last dimension of query or plan is not known, expected a model with fixed ones"
        )
    return KernelVariant(
        dtype=query.dtype,
        head_dim=query.shape[3],
        block_size=spec.block_size,
        plan_columns=columns,
    )


def _input(tensor: Any) -> InputTensor:
    name = str(tensor.dtype.name)
    shape = tuple(x.constant_value() if x.is_constant else -1 for x in tensor.shape_expr)
    return InputTensor(dtype=TENSORRT_DTYPES.get(name, name), shape=shape)


def _launch(
    plugin: Any, spec: AttentionSpec, tensors: Sequence[Any], kernel: AotKernel
) -> tuple[Any, Any]:
    """The grid of `plan_launch` with one split, and the integers among `aot_arguments`."""
    batch, _, length, _ = tensors[0].shape_expr
    programs_per_block = spec.num_heads * (spec.block_size // kernel.tile_rows)
    launch = plugin.KernelLaunchParams()
    launch.grid_x = batch * programs_per_block * plugin.cdiv(length, spec.block_size)
    launch.block_x = WARP_THREADS * kernel.num_warps
    launch.shared_mem = kernel.shared_bytes
    integers = [plugin.SymInt32(length)]
    if len(tensors) == 5:
        integers.append(plugin.SymInt32(tensors[4].shape_expr[0] // spec.num_heads))
    return launch, plugin.SymIntExprs.from_tuple(integers)
