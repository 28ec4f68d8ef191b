"""The library of kernels for CPUs, compiled once a run, and its kernels called on NumPy's arrays.

Dimensions: B documents, R beams or samples of each, N = B*R rows, H heads, Dh head dim, S source,
T capacity of the cache, V vocabulary; of a product M rows, K input channels, N output channels; D
model dim.
"""

from __future__ import annotations

import ctypes
import platform
import runpy
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "plugins" / "csrc" / "cpu"
SETS = ("neon",) if platform.machine() in ("aarch64", "arm64") else ("avx2", "avx512")
SOURCE_SETS = (*SETS, *(name + "bf16" for name in SETS if name == "avx512"))
"""Those in which the kernels of the source are compiled."""
PANEL_COLUMNS, PANEL_DEPTH, _ALIGNMENT = 32, 4, 64


def find_compiler() -> str:
    """Skips where there is none."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler: install g++")
    return compiler


def compile_library(folder: Path) -> None:
    """What is distributed, and functions that call each kernel by itself, as library.so."""
    build = runpy.run_path(str(REPOSITORY / "plugins" / "kernels" / "build_library.py"))
    build["build_library"](
        folder / "library.so",
        compiler=[find_compiler()],
        more=[SOURCES / "harness" / "call_kernels.cpp"],
    )


def find_set(library: Path) -> str:
    """Which the library takes on this processor, "" if none."""
    found = ctypes.CDLL(str(library)).pegasus_edge_kernels_instructions
    found.restype = ctypes.c_char_p
    return str(found().decode())


class _PackedInt8(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("depth", "columns")),
        *((name, ctypes.c_void_p) for name in ("values", "sums")),
    ]


class _Int8Linear(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("input", "output")),
        ("rows", ctypes.c_size_t),
        ("weight", _PackedInt8),
        *((name, ctypes.c_void_p) for name in ("scale", "bias")),
        *((name, ctypes.c_bool) for name in ("is_positive", "rectify")),
    ]


class _KeepSource(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("input", "output")),
        *((name, ctypes.c_size_t) for name in ("batch", "length", "heads", "head_dim")),
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
        ("is_half", ctypes.c_bool),
    ]


class _BlockSparseAttention(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("query", "key", "value")),
        ("stride", ctypes.c_size_t),
        *((name, ctypes.c_void_p) for name in ("mask", "random_blocks", "output")),
        *((name, ctypes.c_size_t) for name in ("batch", "length", "heads", "head_dim")),
        *((name, ctypes.c_size_t) for name in ("block_size", "num_random", "longest_full")),
        ("table_rows", ctypes.c_size_t),
        ("may_round", ctypes.c_bool),
    ]


class _AddLayerNormalization(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("x", "y", "weight", "bias", "sum", "output")),
        *((name, ctypes.c_size_t) for name in ("rows", "columns")),
        ("epsilon", ctypes.c_float),
    ]


class _LogSoftmaxTopK(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("logits", "log_probs", "top_scores", "top_ids")),
        *((name, ctypes.c_size_t) for name in ("rows", "columns", "count")),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """The kernels of one set of instructions, on some threads."""

    library: ctypes.CDLL
    instructions: str
    threads: int

    @property
    def half(self) -> npt.DTypeLike:
        """What 16 bits of a source are."""
        return ml_dtypes.bfloat16 if self.instructions.endswith("bf16") else np.float16

    def keep_source(self, x: Array, heads: int) -> Array:
        """x [B, S, H*Dh] float32 -> [B, H, S, Dh] `half`."""
        batch, length, width = x.shape
        output = np.empty((batch, heads, length, width // heads), self.half)
        sizes = (batch, length, heads, width // heads)
        self._call("keep_source", _KeepSource(*_at(x, output), *sizes))
        return output

    def source_attention(self, query: Array, key: Array, value: Array, mask: Array) -> Array:
        """query [B, R, H*Dh], key and value [B, H, S, Dh] float32 or `half`, mask [B, S]."""
        batch, rows, _ = query.shape
        _, heads, length, head_dim = key.shape
        output = np.full_like(query, 7)
        sizes = (batch, rows, heads, head_dim, length)
        pointers = _at(query, key, value, mask, output)
        arguments = _SourceAttention(*pointers, *sizes, key.dtype == self.half)
        self._call("source_attention", arguments)
        return output

    def beam_attention(
        self, steps: Array, key: Array, value: Array, indirection: Array, position: int
    ) -> Array:
        """steps [N, 3, H*Dh]: query, key and value side by side; key and value [N, H, T, Dh]
        float32 or float16 are written; indirection [B, R, T] int32 -> [N, H*Dh]."""
        _, heads, capacity, head_dim = key.shape
        batch, rows, _ = indirection.shape
        output = np.full_like(steps[:, 0], 7)
        sizes = (batch, rows, heads, head_dim, capacity, position, key.dtype == np.float16)
        new = _at(steps[:, 0], steps[:, 1], steps[:, 2])
        pointers = (*new, steps.strides[0] // 4, *_at(key, value, indirection, output))
        self._call("beam_attention", _BeamAttention(*pointers, *sizes))
        return output

    def int8_linear(
        self,
        x: Array,
        weight: Array,
        scale: Array,
        bias: Array | None = None,
        *,
        transposed: bool = False,
        positive: bool = False,
        rectify: bool = False,
    ) -> Array:
        """x [M, K], weight [K, N] int8, or [N, K], scale [N], bias [N] or none -> [M, N]."""
        values, sums = self.pack_int8(weight, transposed=transposed)
        packed = _PackedInt8(x.shape[1], len(scale), *_at(values, sums))
        output = np.full((len(x), len(scale)), 7, np.float32)
        pointers = (*_at(scale), None if bias is None else bias.ctypes.data)
        linear = _Int8Linear(*_at(x, output), len(x), packed, *pointers, positive, rectify)
        self._call("int8_linear", linear)
        return output

    def pack_int8(self, weight: Array, *, transposed: bool = False) -> tuple[Array, Array]:
        """weight [K, N] int8, or [N, K] -> values [N / 32, K / 4, 32, 4] int8, rounded up, and the
        sum of each column, int32."""
        depth, columns = weight.shape[::-1] if transposed else weight.shape
        panels, groups = -(-columns // PANEL_COLUMNS), -(-depth // PANEL_DEPTH)
        values = _aligned(panels * groups * PANEL_COLUMNS * PANEL_DEPTH)
        sums = np.empty(panels * PANEL_COLUMNS, np.int32)
        packed = _PackedInt8(depth, columns, *_at(values, sums))
        pack = self.library["pegasus_edge_kernels_call_pack_int8"]
        at, name = ctypes.c_void_p(weight.ctypes.data), self.instructions.encode()
        if not pack(name, at, ctypes.c_bool(transposed), ctypes.byref(packed)):
            pytest.skip(f"this processor has no {self.instructions}")
        return values.reshape(panels, groups, PANEL_COLUMNS, PANEL_DEPTH), sums

    def block_sparse_attention(
        self,
        qkv: tuple[Array, Array, Array],
        mask: Array,
        heads: int,
        *,
        block_size: int,
        longest_full: int,
        num_random: int = 0,
        random_blocks: Array | None = None,
        may_round: bool = False,
    ) -> Array:
        """query, key, value [B, S, H*Dh], alike in how far their rows lie apart, mask [B, S] int64,
        random_blocks [H, rows, r] int64 or None for pattern hf-eval -> [B, S, H*Dh]."""
        batch, length, width = qkv[0].shape
        output = np.full(qkv[0].shape, 7, np.float32)
        rows = 0
        if random_blocks is not None:
            _, rows, num_random = random_blocks.shape
        table = None if random_blocks is None else random_blocks.ctypes.data
        sizes = (batch, length, heads, width // heads, block_size, num_random, longest_full, rows)
        pointers = (*_at(*qkv), qkv[0].strides[1] // 4, *_at(mask), table, *_at(output))
        self._call("block_sparse_attention", _BlockSparseAttention(*pointers, *sizes, may_round))
        return output

    def add_layer_normalization(
        self, x: Array, y: Array, weight: Array, bias: Array, epsilon: float
    ) -> tuple[Array, Array]:
        """x and y [M, D], weight and bias [D] -> x + y, and that normalised."""
        total, output = np.full_like(x, 7), np.full_like(x, 7)
        pointers = _at(x, y, weight, bias, total, output)
        arguments = _AddLayerNormalization(*pointers, *x.shape, epsilon)
        self._call("add_layer_normalization", arguments)
        return total, output

    def log_softmax_top_k(self, logits: Array, count: int) -> tuple[Array, Array, Array]:
        """logits [N, V] -> log-probabilities [N, V], the best of each row [N, k] and their columns
        [N, k] int64."""
        rows, columns = logits.shape
        log_probs = np.full_like(logits, 7)
        scores, ids = np.full((rows, count), 7, np.float32), np.full((rows, count), 7, np.int64)
        pointers = _at(logits, log_probs, scores, ids)
        self._call("log_softmax_top_k", _LogSoftmaxTopK(*pointers, rows, columns, count))
        return log_probs, scores, ids

    def _call(self, kernel: str, arguments: ctypes.Structure) -> None:
        function = self.library[f"pegasus_edge_kernels_call_{kernel}"]
        name, width = self.instructions.encode(), ctypes.c_size_t(self.threads)
        if not function(name, width, ctypes.byref(arguments)):
            pytest.skip(f"this processor has no {self.instructions}")


def _at(*arrays: Array) -> tuple[int, ...]:
    return tuple(array.ctypes.data for array in arrays)


def _aligned(size: int) -> Array:
    """[size] int8, where vectors may be loaded at once."""
    memory = np.empty(size + _ALIGNMENT, np.int8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size]


def softmax(scores: Array) -> Array:
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))
