"""The attention kernels for CPUs, compiled once a run, and called on NumPy's arrays.

Dimensions: B documents, R beams or samples of each, N = B*R rows, H heads, Dh head dim, S source,
T capacity of the cache.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]

SOURCES = Path(__file__).parents[2] / "plugins" / "csrc" / "cpu"
KERNELS = ("keep_source", "source_attention", "beam_attention", "block_sparse_attention")
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


def compile_library(folder: Path) -> Path:
    """Skips where there is no compiler."""
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: install g++ or clang++")
    usual = ["-std=c++20", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]
    harness = folder / "harness.o"
    commands = [[*usual, "-c", str(SOURCES / "harness" / "call_attention.cpp"), "-o", str(harness)]]
    for kernel in KERNELS:
        for name in SETS:
            here = [*FLAGS[name], f"-DPEGASUS_SET={name}", "-c"]
            path = folder / f"{kernel}.{name}.o"
            here += [str(SOURCES / "kernels" / f"{kernel}.cpp"), "-o", str(path)]
            commands.append([*usual, *here])

    def compile_one(command: list[str]) -> None:
        subprocess.run([compiler, *command], check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, commands))
    library = folder / "attention.so"
    objects = [command[-1] for command in commands]
    compile_one(["-shared", "-pthread", *objects, "-o", str(library)])
    return library


class _KeepSource(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("input", "output")),
        *((name, ctypes.c_size_t) for name in ("batch", "length", "heads", "head_dim")),
        ("is_half", ctypes.c_bool),
    ]


class _SourceAttention(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("query", "key", "value", "mask", "output")),
        *((name, ctypes.c_size_t) for name in ("batch", "rows", "heads", "head_dim", "length")),
        ("is_half", ctypes.c_bool),
    ]


class _BeamAttention(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("query", "new_key", "new_value")),
        ("stride", ctypes.c_size_t),
        *((name, ctypes.c_void_p) for name in ("key", "value", "indirection", "output")),
        *((name, ctypes.c_size_t) for name in ("batch", "rows", "heads", "head_dim")),
        *((name, ctypes.c_size_t) for name in ("capacity", "position")),
    ]


class _BlockSparseAttention(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("query", "key", "value", "mask")),
        *((name, ctypes.c_void_p) for name in ("random_blocks", "output")),
        *((name, ctypes.c_size_t) for name in ("batch", "length", "heads", "head_dim")),
        *((name, ctypes.c_size_t) for name in ("block_size", "num_random", "longest_full")),
        ("table_rows", ctypes.c_size_t),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseBlocks:
    """What of BlockSparseAttention is no tensor of the source's."""

    heads: int
    block_size: int
    num_random: int
    longest_full: int
    random_blocks: Array | None = None
    """[H, rows, r] int64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionKernels:
    """The kernels of one set of instructions, on some threads."""

    library: ctypes.CDLL
    instructions: str
    threads: int

    def keep_source(self, x: Array, heads: int, dtype: npt.DTypeLike) -> Array:
        """x [B, S, H*Dh] float32 -> [B, H, S, Dh] float32 or float16."""
        batch, length, width = x.shape
        output = np.empty((batch, heads, length, width // heads), dtype)
        sizes = (batch, length, heads, width // heads)
        self._call("keep_source", _KeepSource(*_at(x, output), *sizes, dtype == np.float16))
        return output

    def source_attention(self, query: Array, key: Array, value: Array, mask: Array) -> Array:
        """query [B, R, H*Dh], key and value [B, H, S, Dh] float32 or float16, mask [B, S]."""
        batch, rows, _ = query.shape
        _, heads, length, head_dim = key.shape
        output = np.full_like(query, 7)
        sizes = (batch, rows, heads, head_dim, length)
        pointers = _at(query, key, value, mask, output)
        half = key.dtype == np.float16
        self._call("source_attention", _SourceAttention(*pointers, *sizes, half))
        return output

    def beam_attention(
        self, steps: Array, key: Array, value: Array, indirection: Array, position: int
    ) -> Array:
        """steps [N, 3, H*Dh]: query, key and value side by side; key and value [N, H, T, Dh] are
        written; indirection [B, R, T] int32 -> [N, H*Dh]."""
        _, heads, capacity, head_dim = key.shape
        batch, rows, _ = indirection.shape
        output = np.full_like(steps[:, 0], 7)
        sizes = (batch, rows, heads, head_dim, capacity, position)
        new = _at(steps[:, 0], steps[:, 1], steps[:, 2])
        pointers = (*new, steps.strides[0] // 4, *_at(key, value, indirection, output))
        self._call("beam_attention", _BeamAttention(*pointers, *sizes))
        return output

    def block_sparse_attention(
        self, query: Array, key: Array, value: Array, mask: Array, blocks: SparseBlocks
    ) -> Array:
        """query, key, value [B, S, H*Dh] float32, mask [B, S] int64 -> [B, S, H*Dh]."""
        batch, length, width = query.shape
        output, table = np.full_like(query, 7), blocks.random_blocks
        pointers = (*_at(query, key, value, mask), *([None] if table is None else _at(table)))
        sizes = (batch, length, blocks.heads, width // blocks.heads)
        pattern = (blocks.block_size, blocks.num_random, blocks.longest_full)
        rows = 0 if table is None else table.shape[1]
        arguments = _BlockSparseAttention(*pointers, *_at(output), *sizes, *pattern, rows)
        self._call("block_sparse_attention", arguments)
        return output

    def _call(self, kernel: str, arguments: ctypes.Structure) -> None:
        function = self.library[f"call_{kernel}"]
        name, width = self.instructions.encode(), ctypes.c_size_t(self.threads)
        if not function(name, width, ctypes.byref(arguments)):
            pytest.skip(f"this processor has no {self.instructions}")


def _at(*arrays: Array) -> tuple[int, ...]:
    return tuple(array.ctypes.data for array in arrays)


def softmax(scores: Array) -> Array:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))
