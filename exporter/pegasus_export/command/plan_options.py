"""The options of targets trt and trt-rtx on the command line of pegasus-export."""

import argparse
from pathlib import Path

from pegasus_engines.command.options import add_build_options, read_build_request
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
    pegasus-build xsum-onnx --output xsum-plans
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
        "--block-sparse",
        metavar="{plugin,plain}",
        help="of BigBirdPegasus' sparse attention: one kernel, which a plugin brings into TensorRT "
        "(the default for trt), or plain operators (for trt-rtx, which takes no plugins)",
    )
    add(
        "--onnx-only",
        action="store_true",
        help="write the graphs; build the plans elsewhere. A plugin's kernels come along, for the "
        "GPUs of --compute-capability, or for all",
    )
    add(
        "--build",
        type=Path,
        metavar="BUNDLE",
        help="build the plans of what --onnx-only wrote, as pegasus-build does; with no other "
        "options than these and --output (default: BUNDLE-plans)",
    )
    add_build_options(group)


def read_plan_request(arguments: argparse.Namespace) -> PlanRequest:
    """What was asked for."""
    return PlanRequest(
        num_beams=arguments.num_beams,
        max_target_tokens=arguments.max_target_tokens,
        max_batch=arguments.max_batch,
        onnx_only=arguments.onnx_only,
        build=read_build_request(arguments),
    )
