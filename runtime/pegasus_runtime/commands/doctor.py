"""pegasus-edge doctor: what this computer has, and what each target would need."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from pegasus_runtime.command_line.messages import escape_controls
from pegasus_runtime.command_line.parser import ArgumentParser
from pegasus_runtime.command_line.script import run_script
from pegasus_runtime.commands.console import print_lines, print_record, run_command
from pegasus_runtime.diagnosis.cache import find_cache
from pegasus_runtime.diagnosis.engines import (
    find_cpu_kernels,
    find_cuda_bindings,
    find_onnxruntime,
    find_tensorrt,
)
from pegasus_runtime.diagnosis.finding import Finding
from pegasus_runtime.diagnosis.gpus import find_gpus
from pegasus_runtime.diagnosis.packages import find_packages
from pegasus_runtime.diagnosis.system import find_system
from pegasus_runtime.diagnosis.targets import Engines, find_targets

__all__ = ["main"]

COMMAND = "pegasus-edge"
_DESCRIPTION = """\
doctor: print what this computer has, engines and GPUs among it, and what would
be needed to run and to make bundles for each target. Put it into a bug report:
it names no document, no token, and nothing of yours but paths.
"""
_EPILOG = """\
examples:
  pegasus-edge doctor
  pegasus-edge doctor --json > doctor.json

exit codes:
  0    done: something can be run here
  1    nothing can
"""

Section = tuple[str, list[Finding]]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return run_command(COMMAND, lambda: _run(_parser().parse_args(argv)))


def _run(arguments: argparse.Namespace) -> int:
    sections: dict[str, list[Finding]] = {}
    for title, findings in _sections():
        sections[title] = findings
        if not arguments.json:  # at once: a library that is broken may end the process
            print_lines(_describe(title, findings))
    if arguments.json:
        print_record({title: _as_record(findings) for title, findings in sections.items()})
    can_run = any(each.is_fine for each in sections["targets"] if each.name.startswith("run "))
    return 0 if can_run else 1


def _sections() -> Iterator[Section]:
    yield "system", find_system()
    yield "packages", find_packages()
    gpus = find_gpus()
    yield "GPUs", gpus
    engines: Engines = {
        "ort": find_onnxruntime(),
        "trt": find_tensorrt("trt"),
        "trt-rtx": find_tensorrt("trt-rtx"),
        "cuda": find_cuda_bindings(),
    }
    yield "engines", [*engines.values(), find_cpu_kernels()]
    yield "cache", find_cache()
    yield "targets", find_targets(engines, gpus)


def _describe(title: str, findings: Sequence[Finding]) -> list[str]:
    width = max((len(each.name) for each in findings), default=0)
    lines = [title]
    for each in findings:
        advice = f": {each.advice}" if each.advice else ""
        value = escape_controls(_without_home(each.value))
        lines.append(f"  {_MARKS[each.is_fine]} {each.name:<{width}}  {value}{advice}")
    return lines


_MARKS = {True: "+", False: "-", None: " "}


def _as_record(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [asdict(each) | {"value": _without_home(each.value)} for each in findings]


def _without_home(text: str) -> str:
    """Paths are shown to others, and a home has somebody's name."""
    home = os.path.expanduser("~")
    return text.replace(home + os.sep, "~" + os.sep) if len(home) > 1 else text


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog=COMMAND,
        usage=f"{COMMAND} doctor [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("action", choices=("doctor",), metavar="doctor", help="what to do")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(run_script(COMMAND, "pegasus_runtime.commands.doctor"))
