"""ONNX graphs to plans of TensorRT and TensorRT for RTX, on one path.

Precision is the graph's: networks are strongly typed, and float32 is computed in float32. Plans
are tied to the TensorRT that built them. TensorRT for RTX builds for GPUs that are not there;
TensorRT builds for the one that is.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pegasus_engines.plans.flavours import capability_table, network_flags
from pegasus_engines.plans.plugin_bodies import drop_plugin_bodies
from pegasus_engines.plans.profiles import describe_profile
from pegasus_engines.plans.watch import BuildLog, OnProgress, make_monitor, record_build, silent
from pegasus_plugins.specification import NAMESPACE
from pegasus_runtime.bundle import PLAN_TARGETS, PluginWay, Profile, replace_file
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import Flavour, load_flavour, start_library

__all__ = [
    "BuildOptions",
    "build_plan",
    "check_gpus",
    "load_timing_cache",
    "parse_graph",
    "serialize_plan",
    "start_builder",
]

_MAX_OPTIMIZATION_LEVEL = 5
_MAX_WORKSPACE_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How plans are built.

    target: "trt" or "trt-rtx". compute_capabilities: of the GPUs to build for, such as "8.6"; none
    for the one at hand, which is all that target trt can do. workspace_mib: the most scratch memory
    that a plan may take on the GPU; None for what the GPU has. timing_cache: a file that keeps what
    target trt measures of kernels, read if it is there and rewritten after each build. log_file:
    takes all messages of TensorRT. optimization_level: 0 to 5, None for TensorRT's own choice.
    plugin_way: how target trt gets the plugin that a graph calls, "library", "python" or "aot";
    "auto" is the first of these that is there. plugin_library: None for where it is by default.
    Raises: EngineError for values that do not go together.
    """

    target: str
    compute_capabilities: tuple[str, ...] = ()
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    log_file: Path | None = None
    optimization_level: int | None = None
    plugin_way: str = "auto"
    plugin_library: Path | None = None

    def __post_init__(self) -> None:
        if self.target not in PLAN_TARGETS:
            raise EngineError(f"target is {self.target!r}, expected {' or '.join(PLAN_TARGETS)}")
        names = self.compute_capabilities
        wrong = [name for name in names if not re.fullmatch(r"[1-9]\d?\.\d", name)]
        if wrong or len(set(names)) < len(names):
            got = ", ".join(names)
            raise EngineError(f"compute capabilities are {got}: expected different ones like 8.9")
        if self.target == "trt" and names:
            raise EngineError(
                f"target trt builds for the GPU at hand only, not for {', '.join(names)}: "
                "export with --onnx-only, and build on the device"
            )
        if self.target == "trt-rtx" and self.timing_cache is not None:
            raise EngineError(
                "target trt-rtx measures nothing while it builds, so that it has no timing cache: "
                "leave it out"
            )
        is_chosen = self.plugin_way != "auto" or self.plugin_library is not None
        if self.target == "trt-rtx" and is_chosen:
            raise EngineError("target trt-rtx takes no plugins: leave out how to bring one in")
        if self.plugin_way not in ("auto", *get_args(PluginWay)):
            ways = ", ".join(get_args(PluginWay))
            raise EngineError(f"the way of a plugin is {self.plugin_way!r}, expected auto, {ways}")
        if self.workspace_mib is not None and not 1 <= self.workspace_mib <= _MAX_WORKSPACE_MIB:
            raise EngineError(
                f"workspace is {self.workspace_mib} MiB, expected from 1 to {_MAX_WORKSPACE_MIB}"
            )
        level = self.optimization_level
        if level is not None and not 0 <= level <= _MAX_OPTIMIZATION_LEVEL:
            raise EngineError(
                f"optimization level is {level}, expected 0 to {_MAX_OPTIMIZATION_LEVEL}"
            )


def build_plan(
    graph: Path,
    output: Path,
    *,
    profiles: Sequence[Profile],
    options: BuildOptions,
    on_progress: OnProgress = silent,
) -> None:
    """Builds the plan of one graph, and writes it to a new file.

    profiles: at least one, each with a size for every dynamic dimension of the graph's inputs; a
    runtime finds them under the same numbers in the plan.
    Raises: EngineError; OSError from the file system, also if `output` exists.
    """
    flavour = load_flavour(options.target)
    check_gpus(flavour, options, current_capability())
    plan = serialize_plan(flavour, graph, profiles, options, on_progress)
    with output.open("xb") as file:
        file.write(plan)


def check_gpus(flavour: Flavour, options: BuildOptions, current: str | None) -> tuple[str, ...]:
    """The compute capabilities that plans will be for.

    current: of the GPU at hand, None if there is none. Raises: EngineError if TensorRT does not
    build for what is asked for.
    """
    table = capability_table(flavour)
    unknown = [name for name in options.compute_capabilities if name not in table]
    if unknown:
        raise EngineError(
            f"{flavour.title} {flavour.version} does not build for compute capability "
            f"{unknown[0]}: it knows {', '.join(table)}"
        )
    if options.compute_capabilities:
        return options.compute_capabilities
    if current is not None:
        return (current,)
    hint = (
        f"name the GPUs to build for, of {', '.join(table)}, with --compute-capability"
        if table
        else "export with --onnx-only, and build on the device"
    )
    raise EngineError(f"{flavour.title} builds for the GPU at hand, and there is none: {hint}")


def serialize_plan(
    flavour: Flavour,
    graph: Path,
    profiles: Sequence[Profile],
    options: BuildOptions,
    on_progress: OnProgress = silent,
) -> Any:
    """The plan of one graph, as TensorRT's buffer of bytes; whether there is a GPU for it is not
    looked at.

    An interrupt ends the build at its next step. Raises: EngineError, and what `on_progress` does.
    """
    module = flavour.module
    monitor = make_monitor(module, on_progress)
    with record_build(module, options.log_file) as (logger, log), ThreadPoolExecutor(1) as worker:
        # In a thread of its own: TensorRT swallows what signals raise in its callbacks.
        future = worker.submit(
            lambda: _build(flavour, graph, profiles, options, (logger, log, monitor))
        )
        try:
            return future.result()
        except BaseException:
            monitor.cancelled = True
            raise


def _build(
    flavour: Flavour,
    graph: Path,
    profiles: Sequence[Profile],
    options: BuildOptions,
    watch: tuple[Any, BuildLog, Any],
) -> Any:
    logger, log, monitor = watch
    builder = start_builder(flavour, logger, log)
    network = parse_graph(flavour, builder, graph, logger, log)
    config = _configure(flavour, builder, options)
    _add_profiles(builder, network, config, profiles, graph)
    cache = load_timing_cache(config, options.timing_cache)
    config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor.failure is not None:
        raise monitor.failure
    if plan is None:
        raise EngineError(f"{graph}: {flavour.title} cannot build it: {log.explain()}")
    if cache is not None and options.timing_cache is not None:
        replace_file(options.timing_cache, bytes(cache.serialize()))
    return plan


def start_builder(flavour: Flavour, logger: Any, log: BuildLog) -> Any:
    """TensorRT's Builder. Raises: EngineError if there can be none here."""
    title = f"{flavour.title} {flavour.version}"
    return start_library(flavour.module.Builder, logger, title, log.explain)


def parse_graph(flavour: Flavour, builder: Any, graph: Path, logger: Any, log: BuildLog) -> Any:
    """The network of a graph; its external data lie beside it.

    Raises: EngineError that names the nodes which TensorRT does not take.
    """
    network = builder.create_network(network_flags(flavour))
    parser = flavour.module.OnnxParser(network, logger)
    content = graph.read_bytes()
    if flavour.target == "trt":
        content = drop_plugin_bodies(content, NAMESPACE)
    try:
        is_parsed = parser.parse(content, str(graph).encode().decode())
    except UnicodeEncodeError as err:
        raise EngineError(
            f"{graph}: its path is not UTF-8, which {flavour.title} needs: rename the folder"
        ) from err
    if is_parsed:
        return network
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    nodes = [f"{err.node_operator()} {err.node_name()!r}: {err.desc()}" for err in errors]
    reason = " ".join("; ".join(nodes).split()) or log.explain()
    raise EngineError(f"{graph}: {flavour.title} {flavour.version} cannot parse it: {reason}")


def _configure(flavour: Flavour, builder: Any, options: BuildOptions) -> Any:
    module = flavour.module
    config = builder.create_builder_config()
    config.clear_flag(module.BuilderFlag.TF32)  # 10 of 23 bits: not the precision asked for
    user_allocation = getattr(module.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if user_allocation is not None:
        config.set_flag(user_allocation)  # else a step cannot be captured as a CUDA graph
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED  # for inspect_plan
    if options.workspace_mib is not None:
        limit = options.workspace_mib * 2**20
        config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, limit)
    if options.optimization_level is not None:
        config.builder_optimization_level = options.optimization_level
    table = capability_table(flavour)
    if table:
        wanted = [table[name] for name in options.compute_capabilities]
        wanted = wanted or [module.ComputeCapability.CURRENT]
        config.num_compute_capabilities = len(wanted)
        for index, capability in enumerate(wanted):
            config.set_compute_capability(capability, index)
    return config


def _add_profiles(
    builder: Any, network: Any, config: Any, profiles: Sequence[Profile], graph: Path
) -> None:
    if not profiles:
        raise EngineError(f"{graph}: has no optimisation profiles, expected at least one")
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    for profile in profiles:
        shapes = builder.create_optimization_profile()
        for tensor in inputs:
            if tensor.is_shape_tensor:
                raise EngineError(
                    f"{graph}: the values of input {tensor.name!r} are sizes of other tensors, "
                    "which plans are not built for: make it a constant of the graph"
                )
            axes = _sizes_of_axes(tensor, profile, graph)
            if -1 in tensor.shape and not _set_shape(shapes, tensor.name, axes):
                raise _refused(graph, profile)
        if config.add_optimization_profile(shapes) < 0:
            raise _refused(graph, profile)


def _set_shape(shapes: Any, name: str, axes: list[tuple[int, int, int]]) -> bool:
    """Whether TensorRT takes them. Its bindings raise RuntimeError for sizes below 0 (pyCore.cpp,
    opt_profile_set_shape)."""
    try:
        shapes.set_shape(name, *zip(*axes, strict=True))
    except RuntimeError:
        return False
    return True


def _refused(graph: Path, profile: Profile) -> EngineError:
    return EngineError(
        f"{graph}: TensorRT refuses the profile {describe_profile(profile)}: expected "
        "0 <= smallest <= best <= largest for each dimension"
    )


def _sizes_of_axes(tensor: Any, profile: Profile, graph: Path) -> list[tuple[int, int, int]]:
    """Smallest, best and largest size of each axis of an input."""
    sizes = []
    for axis, size in enumerate(tensor.shape):
        if size >= 0:
            sizes.append((size, size, size))
            continue
        name = tensor.get_dimension_name(axis)
        if name not in profile:
            raise EngineError(
                f"{graph}: input {tensor.name!r} has the dynamic dimension {name!r}, the profile "
                f"has sizes of {', '.join(profile)}: name it as they are, or add its sizes"
            )
        sizes.append(profile[name])
    return sizes


def load_timing_cache(config: Any, path: Path | None) -> Any | None:
    """What was measured before, from the file if it is there, and given to the builder.

    Raises: EngineError for what another TensorRT or GPU measured.
    """
    if path is None:
        return None
    cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
    if cache is None or not config.set_timing_cache(cache, ignore_mismatch=False):
        raise EngineError(f"{path}: a timing cache of another TensorRT or GPU: remove it")
    return cache
