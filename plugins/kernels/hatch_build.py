"""Compiles the library into the wheel, with the clang of PyPI's package ziglang.

It has the headers and C libraries of every platform, so that one machine builds for all, and
whoever installs from the sources needs no compiler.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["PLATFORMS", "TARGET", "CustomBuildHook", "Platform", "this_platform"]

TARGET = "PEGASUS_EDGE_KERNELS_TARGET"
"""The environment variable that names one of PLATFORMS; this machine's where it is not set."""

_BUILD_LIBRARY = Path(__file__).resolve().parent / "build_library.py"


class Platform(NamedTuple):  # as dataclasses want their module to be imported, which hooks are not
    """Something that a wheel is for."""

    triple: str
    """As zig calls it, with the oldest system that will do."""
    tag: str
    """As wheels call it."""
    library: str
    """The file's name, as pegasus_edge_kernels has it."""


# glibc 2.17 is of 2012: older than any system that ONNX Runtime's wheels are for.
PLATFORMS: Mapping[str, Platform] = {
    "linux-x86_64": Platform(
        triple="x86_64-linux-gnu.2.17",
        tag="manylinux_2_17_x86_64",
        library="libpegasus_edge_kernels.so",
    ),
    "linux-aarch64": Platform(
        triple="aarch64-linux-gnu.2.17",
        tag="manylinux_2_17_aarch64",
        library="libpegasus_edge_kernels.so",
    ),
    "windows-x86_64": Platform(
        triple="x86_64-windows-gnu", tag="win_amd64", library="pegasus_edge_kernels.dll"
    ),
    "macos-arm64": Platform(
        triple="aarch64-macos.11.0",
        tag="macosx_11_0_arm64",
        library="libpegasus_edge_kernels.dylib",
    ),
}
_MACHINES = {"amd64": "x86_64"}


def this_platform() -> str:
    """One of PLATFORMS. Raises: ValueError on a machine that is none."""
    system = {"darwin": "macos"}.get(platform.system().lower(), platform.system().lower())
    machine = _MACHINES.get(platform.machine().lower(), platform.machine().lower())
    name = f"{system}-{machine}"
    if name not in PLATFORMS:
        raise ValueError(f"no kernels for {name}, expected one of {', '.join(PLATFORMS)}")
    return name


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the library, and says what the wheel is for."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises: ValueError for a platform that is none; CalledProcessError if it does not
        compile, after what the compiler said."""
        name = os.environ.get(TARGET) or this_platform()
        if name not in PLATFORMS:
            raise ValueError(f"{TARGET} is {name!r}, expected one of {', '.join(PLATFORMS)}")
        chosen = PLATFORMS[name]
        self._folder = tempfile.TemporaryDirectory()
        library = Path(self._folder.name) / chosen.library
        command = [sys.executable, str(_BUILD_LIBRARY), "--target", chosen.triple]
        subprocess.run([*command, "--output", str(library)], check=True)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{chosen.tag}"  # of no Python's ABI
        build_data["force_include"][str(library)] = f"pegasus_edge_kernels/{chosen.library}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The library is in the wheel."""
        self._folder.cleanup()
