"""A bundle of graphs in, a bundle of plans beside it out: what pegasus-build does.

Nothing here needs torch or onnx: it is what runs on the Jetson.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from pegasus_engines.plans.bundle import Check, fill_with_plans
from pegasus_engines.plans.tensorrt import BuildOptions, check_gpus
from pegasus_engines.progress import Progress, silent
from pegasus_runtime.bundle import PLAN_TARGETS, Bundle, open_bundle, write_bundle
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import load_flavour

__all__ = ["DESKTOP_CAPABILITIES", "BuildRequest", "build_bundle", "choose_options"]

DESKTOP_CAPABILITIES = ("8.6", "8.9", "12.0")
"""GeForce RTX 30, 40 and 50."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What plans are built for, and how, whatever the target; see `BuildOptions`."""

    compute_capabilities: tuple[str, ...] | None = None
    """Of the GPUs that the plans are for; () is the one of this computer; None is that for trt,
    and what desktops have for trt-rtx."""
    workspace_mib: int | None = None
    timing_cache: Path | None = None
    log_file: Path | None = None
    """Where TensorRT's own, verbose log goes."""
    plugin_way: str = "auto"
    """How TensorRT gets a plugin: library, python or aot; auto is the first that is there."""
    plugin_library: Path | None = None
    """None: where a library is by default."""


_DEFAULTS = BuildRequest()


def build_bundle(
    graphs: Path,
    output: Path,
    request: BuildRequest = _DEFAULTS,
    progress: Progress = silent,
    *,
    force: bool = False,
    check: Check | None = None,
) -> Bundle:
    """Builds the plans of a bundle that was exported with --onnx-only, into a bundle of their own.

    force: replaces a bundle at `output`. Raises: EngineError, BundleError.
    """
    bundle = open_bundle(graphs)
    target = bundle.manifest.target
    if target not in PLAN_TARGETS:
        raise EngineError(
            f"{graphs} is for target {target}, which has no plans: export with --target "
            f"{' or '.join(PLAN_TARGETS)}, and --onnx-only"
        )
    _check_output(graphs, output)
    options = choose_options(target, request)
    try:
        with write_bundle(output, force=force) as staging:
            return staging.commit(fill_with_plans(bundle, staging, options, progress, check))
    except OSError as err:
        raise BundleError(
            f"{output} cannot be written ({err.strerror or err}): free some space, or choose "
            "another folder"
        ) from err


def _check_output(graphs: Path, output: Path) -> None:
    """Whether the graphs stay where they are. Raises: BundleError."""
    source, replaced = Path(os.path.realpath(graphs)), Path(os.path.realpath(output))
    if source.is_relative_to(replaced):
        raise BundleError(
            f"{output} has the graphs to build from, which stay: choose another folder"
        )


def choose_options(target: str, request: BuildRequest) -> BuildOptions:
    """What can be said before any work: whether TensorRT is there, and builds for these GPUs.

    Raises: EngineError.
    """
    capabilities = request.compute_capabilities
    if capabilities is None:
        capabilities = DESKTOP_CAPABILITIES if target == "trt-rtx" else ()
    options = BuildOptions(
        target=target,
        compute_capabilities=capabilities,
        workspace_mib=request.workspace_mib,
        timing_cache=request.timing_cache,
        log_file=request.log_file,
        plugin_way=request.plugin_way,
        plugin_library=request.plugin_library,
    )
    check_gpus(load_flavour(target), options, current_capability())
    return options
