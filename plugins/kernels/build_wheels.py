"""Wheels of pegasus-edge-kernels, for this machine or for all platforms, checked.

    python plugins/kernels/build_wheels.py --output dist --all

Needs hatchling, ziglang and auditwheel. The same sources give the same bytes: files in the wheels
are dated by SOURCE_DATE_EPOCH, or 2020.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from hatch_build import PLATFORMS, TARGET, this_platform

MAX_LIBRARY_BYTES = 1_500_000
_FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("dist"), help="folder (default: dist)")
    parser.add_argument("--platform", choices=PLATFORMS, help="default: this machine's")
    parser.add_argument("--all", action="store_true", help="for every platform")
    arguments = parser.parse_args()
    names = list(PLATFORMS) if arguments.all else [arguments.platform or this_platform()]
    for name in names:
        wheel = build_wheel(name, arguments.output)
        print(f"{wheel}: {check_wheel(name, wheel)}", flush=True)
    return 0


def build_wheel(name: str, output: Path) -> Path:
    """name: one of PLATFORMS. Raises: what the build hook raises."""
    os.environ[TARGET] = name
    (wheel,) = WheelBuilder(str(_FOLDER)).build(directory=str(output), versions=["standard"])
    return Path(wheel)


def check_wheel(name: str, wheel: Path) -> str:
    """What the library is like. Raises: ValueError if it is too large, or if it is for Linux and
    needs more of the system than the wheel's tag allows."""
    with zipfile.ZipFile(wheel) as archive:
        size = archive.getinfo(f"pegasus_edge_kernels/{PLATFORMS[name].library}").file_size
    if size > MAX_LIBRARY_BYTES:
        raise ValueError(f"{wheel}: the library has {size} bytes, expected {MAX_LIBRARY_BYTES}")
    if name.startswith("linux"):
        command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        consistent = f'tag: "{PLATFORMS[name].tag}"'
        if consistent not in said:
            raise ValueError(f"{wheel}: auditwheel does not find {consistent}:\n{said}")
    return f"{size / 1000:.0f} kB of library"


if __name__ == "__main__":
    sys.exit(main())
