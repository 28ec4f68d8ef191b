"""pegasus-build: the plans of a bundle of graphs, on the device that will run them."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pegasus_engines.command.options import add_build_options, read_build_request
from pegasus_engines.command.report import print_differences, print_plans, print_plans_as_json
from pegasus_engines.inspect.bundle import compare_plans
from pegasus_engines.inspect.compare import OutputDifference
from pegasus_engines.plans.build import build_bundle
from pegasus_engines.progress import Progress, choose_progress
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.command_line.exit_codes import EXIT_INPUT
from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.command_line.process import CompleteOutput, run_command
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.command_line.signals import UnwindOnSignals, state
from pegasus_runtime.errors import PegasusError

__all__ = ["main", "make_parser", "run_build"]

_COMMAND = "pegasus-build"
_DESCRIPTION = """\
Build TensorRT's plans of a bundle of graphs, which pegasus-export --onnx-only
wrote, into a bundle of their own beside it.

A plan is a graph that TensorRT has compiled: for one version of TensorRT, for
some GPUs, for the sizes that were given to the export. Building needs TensorRT
and NumPy, and neither torch nor onnx; it takes minutes.

Nothing is left behind if it fails. The graphs stay: build them again after an
update of TensorRT, or on another device.
"""
_EPILOG = """\
targets, as GRAPHS was exported:
  trt      TensorRT 10 and 11: servers and Jetson. Builds for the GPU that is
           here: run this on the device
  trt-rtx  TensorRT for RTX: desktops. Builds for GPUs that are not here

examples:
  pegasus-build xsum-onnx
  pegasus-build xsum-onnx --output xsum-plans --timing-cache timings.bin
  pegasus-build xsum-rtx-onnx --compute-capability 8.9
  pegasus-summarize xsum-onnx-plans article.txt

exit codes:
  0    the plans are there
  2    GRAPHS, the request or the output folder is unusable, or TensorRT is
       missing or cannot build; or the plans are there, and standard output does
       not take what is said of them
  130  interrupted (143: terminated)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(
        _COMMAND,
        lambda: _run(argv),
        exit_code=lambda error: EXIT_INPUT if isinstance(error, PegasusError) else None,
        failed=EXIT_INPUT,
    )


def _run(argv: Sequence[str] | None) -> int:
    arguments = make_parser().parse_args(argv)
    progress = choose_progress(quiet=arguments.quiet or arguments.json)
    run_build(_COMMAND, arguments.graphs, arguments, progress)
    return 0


def run_build(
    command: str, graphs: Path, arguments: argparse.Namespace, progress: Progress
) -> None:
    """Builds, and prints what came out.

    command: what notes begin with. arguments: --output, --force, --json and --quiet, and those of
    `add_build_options`.
    Raises: EngineError, BundleError; ResultError, though the plans are there.
    """
    output = arguments.output or _default_output(graphs)
    differences: dict[str, tuple[OutputDifference, ...]] = {}

    def compare(bundle: Bundle, plans: Path) -> None:
        differences.update(compare_plans(bundle, plans))

    state.says = "interrupted: nothing was written"
    with UnwindOnSignals():
        bundle = build_bundle(
            graphs,
            output,
            read_build_request(arguments),
            progress,
            force=arguments.force,
            check=compare if arguments.compare else None,
        )
    with CompleteOutput(command, output):
        if arguments.json:
            print_plans_as_json(bundle, output)
        elif not arguments.quiet:
            print_plans(bundle, output)
        print_differences(differences)


def _default_output(graphs: Path) -> Path:
    """The folder beside the graphs, also of such as `.`, which have their names elsewhere."""
    named = graphs if graphs.name not in ("", "..") else Path(os.path.realpath(graphs))
    return named.parent / f"{named.name}-plans"


def make_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = ArgumentParser(
        prog=_COMMAND,
        usage="%(prog)s GRAPHS [--output PLANS] [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("graphs", type=Path, metavar="GRAPHS", help="a bundle that --onnx-only wrote")
    add(
        "--output",
        type=Path,
        metavar="PLANS",
        help="folder of the new bundle (default: GRAPHS-plans)",
    )
    add_build_options(parser)
    add("--force", action="store_true", help="replace the bundle at --output")
    add("--json", action="store_true", help="print the result as JSON, and no progress")
    add("--quiet", action="store_true", help="print errors only")
    return parser


if __name__ == "__main__":
    sys.exit(run_script(_COMMAND, "pegasus_engines.command.build"))
