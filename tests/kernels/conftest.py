"""Kernels of each set of instructions, on one and two threads."""

from __future__ import annotations

import ctypes

import pytest

from kernels import attention_library as attention
from kernels import int8_library as int8
from kernels.compile_library import SETS, compile_library

on_each_set = pytest.fixture(
    params=[(name, threads) for name in SETS for threads in (1, 2)], ids=str
)


@pytest.fixture(scope="session")
def attention_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("attention")
    return compile_library(folder, "call_attention.cpp", attention.KERNELS)


@on_each_set
def kernels(
    attention_library: ctypes.CDLL, request: pytest.FixtureRequest
) -> attention.AttentionKernels:
    name, threads = request.param
    return attention.AttentionKernels(library=attention_library, instructions=name, threads=threads)


@pytest.fixture(scope="session")
def int8_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("int8")
    return compile_library(folder, "call_int8_linear.cpp", int8.KERNELS)


@on_each_set
def int8_kernels(int8_library: ctypes.CDLL, request: pytest.FixtureRequest) -> int8.Int8Kernels:
    name, threads = request.param
    return int8.Int8Kernels(library=int8_library, instructions=name, threads=threads)
