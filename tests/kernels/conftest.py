"""The attention kernels, of each set of instructions and on one and two threads."""

from __future__ import annotations

import ctypes

import pytest

from kernels.attention_library import SETS, AttentionKernels, compile_library


@pytest.fixture(scope="session")
def attention_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return ctypes.CDLL(str(compile_library(tmp_path_factory.mktemp("attention"))))


@pytest.fixture(params=[(name, threads) for name in SETS for threads in (1, 2)], ids=str)
def kernels(attention_library: ctypes.CDLL, request: pytest.FixtureRequest) -> AttentionKernels:
    name, threads = request.param
    return AttentionKernels(library=attention_library, instructions=name, threads=threads)
