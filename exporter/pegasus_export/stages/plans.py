"""The last stage of targets trt and trt-rtx, and all of `pegasus-export --build`: ONNX to plans.

Nothing here needs torch or onnx: it is what runs on the Jetson.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from pegasus_engines.plans.bundle import build_plans
from pegasus_engines.plans.flavours import load_flavour
from pegasus_engines.plans.gpu import current_capability
from pegasus_engines.plans.tensorrt import BuildOptions, check_gpus
from pegasus_engines.plans.watch import OnProgress
from pegasus_export.errors import OutputError, UnsupportedError
from pegasus_export.request.export import PlanRequest
from pegasus_export.request.progress import Progress, silent
from pegasus_runtime.bundle import (
    PLAN_TARGETS,
    Bundle,
    BundleWriter,
    Manifest,
    open_bundle,
    write_bundle,
)
from pegasus_runtime.errors import BundleError, EngineError

__all__ = ["DESKTOP_CAPABILITIES", "build_bundle", "check_build", "fill_with_plans"]

DESKTOP_CAPABILITIES = ("8.6", "8.9", "12.0")
"""GeForce RTX 30, 40 and 50."""
_STEPS = 100

Check = Callable[[Bundle, Path], None]
"""Called with the ONNX bundle and the folder of its plans, before they are published."""


def build_bundle(
    bundle_folder: Path,
    output: Path,
    request: PlanRequest,
    progress: Progress = silent,
    *,
    force: bool = False,
    check: Check | None = None,
) -> Bundle:
    """Builds the plans of a bundle that was exported with --onnx-only, into a bundle of their own.

    Raises: UnsupportedError, OutputError.
    """
    try:
        bundle = open_bundle(bundle_folder)
        target = bundle.manifest.target
        if target not in PLAN_TARGETS:
            raise UnsupportedError(
                f"{bundle_folder} is for target {target}, which has no plans: export with --target "
                "trt or trt-rtx, and --onnx-only"
            )
        options = check_build(target, request)
        with write_bundle(output, force=force) as staging:
            return staging.commit(fill_with_plans(bundle, staging, options, progress, check))
    except EngineError as err:
        raise UnsupportedError(str(err)) from err
    except BundleError as err:
        raise OutputError(str(err)) from err
    except OSError as err:
        raise OutputError(
            f"{output} cannot be written ({err.strerror or err}): free some space, or choose "
            "another folder"
        ) from err


def check_build(target: str, request: PlanRequest) -> BuildOptions:
    """What can be said before any work: whether TensorRT is there, and builds for these GPUs.

    Raises: UnsupportedError.
    """
    capabilities = request.compute_capabilities
    if capabilities is None:
        capabilities = DESKTOP_CAPABILITIES if target == "trt-rtx" else ()
    try:
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
    except EngineError as err:
        raise UnsupportedError(str(err)) from err
    return options


def fill_with_plans(
    bundle: Bundle,
    staging: BundleWriter,
    options: BuildOptions,
    progress: Progress,
    check: Check | None = None,
) -> Manifest:
    """Puts plans, and all that a runtime needs beside them, into the staging folder.

    Raises: EngineError, BundleError, OSError.
    """

    @contextlib.contextmanager
    def show(graph: str) -> Iterator[OnProgress]:
        shown = 0
        with progress(f"build {graph}", total_steps=_STEPS) as advance:

            def step(done: int, total: int) -> None:
                nonlocal shown
                now = _STEPS * done // max(1, total)
                advance(now - shown)
                shown = now

            yield step

    manifest = build_plans(bundle, staging, options, show)
    if check is not None:
        with progress("compare with ONNX Runtime"):
            check(bundle, staging.path)
    return manifest
