"""How plans are built, on the command line: options of pegasus-build, and of pegasus-export too."""

import argparse
import re
from pathlib import Path

from pegasus_engines.plans.build import BuildRequest

__all__ = ["add_build_options", "read_build_request"]


def add_build_options(group: argparse._ActionsContainer) -> None:
    """Adds them to a parser, or to a group of its options."""
    add = group.add_argument
    add(
        "--compute-capability",
        type=_capabilities,
        metavar="X.Y,...",
        help="GPUs to build for, or current, the one that is here (default: 8.6,8.9,12.0, which "
        "are GeForce RTX 30, 40 and 50, for trt-rtx; current for trt, which builds for no other)",
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


def read_build_request(arguments: argparse.Namespace) -> BuildRequest:
    """What was asked for."""
    return BuildRequest(
        compute_capabilities=arguments.compute_capability,
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
