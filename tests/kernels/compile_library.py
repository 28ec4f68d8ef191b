"""Kernels for CPUs and what tests call them by, compiled once a run."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "plugins" / "csrc" / "cpu"
X86_FLAGS = ("-mavx2", "-mfma", "-mf16c")
FLAGS = {
    "avx2": X86_FLAGS,
    "avx512": (
        *("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni"),
        *X86_FLAGS,
    ),
    "neon": ("-march=armv8.2-a+dotprod",),
}
SETS = ("neon",) if platform.machine() == "aarch64" else ("avx2", "avx512")


def compile_library(folder: Path, harness_name: str, kernels: Sequence[str]) -> ctypes.CDLL:
    """Skips where there is no compiler."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: install g++ or clang++")
    usual = ["-std=c++20", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]
    usual.append("-ffp-contract=off")
    harness = folder / "harness.o"
    commands = [[*usual, "-c", str(SOURCES / "harness" / harness_name), "-o", str(harness)]]
    for kernel in kernels:
        for name in SETS:
            here = [*FLAGS[name], f"-DPEGASUS_SET={name}", "-c"]
            path = folder / f"{kernel}.{name}.o"
            here += [str(SOURCES / "kernels" / f"{kernel}.cpp"), "-o", str(path)]
            commands.append([*usual, *here])

    def compile_one(command: list[str]) -> None:
        subprocess.run([compiler, *command], check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, commands))
    library = folder / "kernels.so"
    objects = [command[-1] for command in commands]
    compile_one(["-shared", "-pthread", *objects, "-o", str(library)])
    return ctypes.CDLL(str(library))
