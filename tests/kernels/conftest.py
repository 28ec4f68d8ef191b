"""The kernels, of each set of instructions and on one and two threads."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from kernels.library import SETS, SOURCE_SETS, Kernels, compile_library, find_compiler
from made_once import MadeOnce


@pytest.fixture(scope="session")
def library(made_once: MadeOnce) -> Path:
    """What is distributed, and calls of its kernels; of sources as they are now."""
    find_compiler()
    return made_once.folder("kernels", compile_library) / "library.so"


@pytest.fixture(params=[(name, threads) for name in SETS for threads in (1, 2)], ids=str)
def kernels(library: Path, request: pytest.FixtureRequest) -> Kernels:
    name, threads = request.param
    return Kernels(library=ctypes.CDLL(str(library)), instructions=name, threads=threads)


@pytest.fixture(params=[(name, threads) for name in SOURCE_SETS for threads in (1, 2)], ids=str)
def source_kernels(library: Path, request: pytest.FixtureRequest) -> Kernels:
    """In every set that has its own of the source."""
    name, threads = request.param
    return Kernels(library=ctypes.CDLL(str(library)), instructions=name, threads=threads)
