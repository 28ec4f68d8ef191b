"""The options of targets trt and trt-rtx on the command line of pegasus-export."""

import argparse
import re
from pathlib import Path

from pegasus_export.request.export import PlanRequest

__all__ = ["PLAN_TARGETS_HELP", "add_plan_options", "read_plan_request"]

PLAN_TARGETS_HELP = """\
plans (targets trt and trt-rtx):
  A plan is a graph that TensorRT has compiled: for one version of TensorRT, for
  some GPUs, for sizes up to those given here. Its graphs are checked on the CPU
  first; fp16 is emulated there, so that what would overflow on the GPU fails.
  trt-rtx builds for GPUs that are not there; trt builds for the one that is:
  export with --onnx-only, take the folder to the device, and build it there,
  which needs TensorRT, and neither torch nor onnx:
    pegasus-export --model google/pegasus-xsum --output xsum-onnx \\
                   --target trt --precision fp16 --onnx-only
    pegasus-export --build xsum-onnx --output xsum-plans
"""


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Adds them, as a group."""
    group = parser.add_argument_group("options of targets trt and trt-rtx")
    add = group.add_argument
    add("--num-beams", type=int, metavar="N", help="most beams (default: the checkpoint's)")
    add(
        "--max-target-tokens",
        type=int,
        metavar="N",
        help="longest summary, start token included (default: the checkpoint's max_length)",
    )
    add("--max-batch", type=int, default=1, metavar="N", help="documents together (default: 1)")
    add(
        "--compute-capability",
        type=_capabilities,
        metavar="X.Y,...",
        help="GPUs to build for, or current, the one that is here (default: 8.6,8.9,12.0, which "
        "are GeForce RTX 30, 40 and 50, for trt-rtx; current for trt; for trt with --onnx-only, "
        "those that a plugin's kernels are compiled for, and all of them by default)",
    )
    _add_plugin_options(group)
    add("--onnx-only", action="store_true", help="write the graphs; build the plans elsewhere")
    add(
        "--build",
        type=Path,
        metavar="BUNDLE",
        help="build the plans of what --onnx-only wrote; with no other options than these and "
        "--output (default: BUNDLE-plans)",
    )
    add("--workspace-mib", type=int, metavar="MIB", help="scratch memory a plan may use on the GPU")
    add(
        "--timing-cache",
        type=Path,
        metavar="FILE",
        help="keeps what TensorRT measures, to build faster the next time (trt only)",
    )
    add("--build-log", type=Path, metavar="FILE", help="TensorRT's own log, in every detail")
    add(
        "--compare",
        action="store_true",
        help="run graphs and plans once beside each other, and print how far they are apart; "
        "needs the GPU, and polygraphy",
    )


def _add_plugin_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--block-sparse",
        metavar="{plugin,plain}",
        help="of BigBirdPegasus' sparse attention: one kernel, which a plugin brings into TensorRT "
        "(the default for trt), or plain operators (for trt-rtx, which takes no plugins)",
    )
    add(
        "--plugin",
        default="auto",
        choices=("auto", "library", "python", "aot"),
        metavar="{auto,library,python,aot}",
        help="how TensorRT gets the plugin: from a library in C++, from a class in Python, or "
        "inside the plan (default: auto, the first of these that is there)",
    )
    add(
        "--plugin-library",
        type=Path,
        metavar="FILE",
        help="that library (default: what PEGASUS_PLUGIN_LIBRARY names; see plugins/README.md)",
    )


def read_plan_request(arguments: argparse.Namespace) -> PlanRequest:
    """What was asked for."""
    return PlanRequest(
        num_beams=arguments.num_beams,
        max_target_tokens=arguments.max_target_tokens,
        max_batch=arguments.max_batch,
        compute_capabilities=arguments.compute_capability,
        onnx_only=arguments.onnx_only,
        workspace_mib=arguments.workspace_mib,
        timing_cache=arguments.timing_cache,
        log_file=arguments.build_log,
        plugin_way=arguments.plugin,
        plugin_library=arguments.plugin_library,
    )


def _capabilities(text: str) -> tuple[str, ...]:
    if text == "current":
        return ()
    names = tuple(text.split(","))
    if not all(re.fullmatch(r"[1-9]\d?\.\d", name) for name in names):
        raise argparse.ArgumentTypeError(f"{text!r}, expected current, or such as 8.6,8.9")
    return names
