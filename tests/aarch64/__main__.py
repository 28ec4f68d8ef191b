"""Summarises on an emulated aarch64 what was summarised here, and compares the tokens.

- system.py     what the emulated computer has: a Python, a C library, wheels
- summarize.py  what runs there, and here
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from aarch64.system import System, make_system, unpack_wheel

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("summarize.py")
RUNTIME = REPOSITORY / "runtime"
_EPILOG = """\
Needs the network once, and the apt of a Debian or an Ubuntu that has python3.11 (Debian 12), as any
user. Seconds are those of the emulator: they say nothing of a computer.
"""


def main() -> int:
    """1 where any token differs."""
    arguments = _parser().parse_args()
    files = [str(path) for path in arguments.documents or _articles(3)]
    work_dir = arguments.work_dir.resolve()  # apt takes its folders from the root alone
    system = make_system(work_dir / "system")
    ways: list[tuple[tuple[Path, ...], str]] = [((RUNTIME,), "0")]
    if arguments.kernels is not None:
        kernels = work_dir / "kernels"
        unpack_wheel(arguments.kernels, kernels)
        ways.append(((RUNTIME, kernels), "1"))
    failures = 0
    for precision in ("fp32", "int8"):
        bundle = str(_export(precision, work_dir))
        expected = _show(precision, _summarize_here([bundle, *files]), None)
        for path, switch in ways:
            found = _summarize_there(system, [bundle, *files], path, switch)
            failures += _show(precision, found, expected)["tokens"] != expected["tokens"]
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aarch64", description=__doc__.splitlines()[0], epilog=_EPILOG
    )
    add = parser.add_argument
    add("documents", nargs="*", type=Path, metavar="FILE", help="default: three of examples")
    add(
        "--kernels",
        type=Path,
        metavar="WHEEL",
        help="pegasus-edge-kernels for Linux on aarch64, to run with it, too",
    )
    add("--work-dir", type=Path, default=Path("build/aarch64"), help="default: build/aarch64")
    return parser


def _articles(count: int) -> list[Path]:
    return sorted((REPOSITORY / "examples" / "articles").glob("*.txt"))[:count]


def _export(precision: str, folder: Path) -> Path:
    """pegasus-mini, anew: the kernels of today leave what an exporter of yesterday made alone."""
    output = folder / precision
    shutil.rmtree(output, ignore_errors=True)
    checkpoint = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
    command = [sys.executable, "-m", "pegasus_export.command.main", "--model", str(checkpoint)]
    command += ["--precision", precision, "--output", str(output)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return output


def _summarize_here(arguments: list[str]) -> dict[str, Any]:
    """With ONNX Runtime's own operators."""
    environment = os.environ | {"PEGASUS_EDGE_KERNELS": "0"}
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def _summarize_there(
    system: System, arguments: list[str], path: tuple[Path, ...], switch: str
) -> dict[str, Any]:
    printed = system.python([str(SCRIPT), *arguments], path, PEGASUS_EDGE_KERNELS=switch)
    return dict(json.loads(printed))


def _show(precision: str, found: dict[str, Any], expected: dict[str, Any] | None) -> dict[str, Any]:
    says = f"{sum(map(len, found['tokens']))} tokens"
    if expected is not None:
        pairs = zip(found["tokens"], expected["tokens"], strict=True)
        same = sum(tuple(one) == tuple(other) for one, other in pairs)
        says = f"{same} of {len(found['tokens'])} summaries as on {expected['machine']}, emulated"
    where, engine = found["machine"], found["engine"]
    print(f"{precision} {where:<8} {engine}: {says}, {found['seconds']} s", flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
