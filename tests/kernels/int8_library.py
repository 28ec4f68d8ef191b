"""The int8 product for CPUs, called on NumPy's arrays.

Dimensions: M rows, K input channels, N output channels.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]

KERNELS = ("int8_linear", "pack_int8")
PANEL_COLUMNS = 32
PANEL_DEPTH = 4
_LINE = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """What an Int8Linear has besides its input."""

    weight: Array
    """[K, N] int8, or [N, K] if transposed."""
    scale: Array
    """[N] float32."""
    bias: Array | None = None
    """[N] float32."""
    transposed: bool = False
    positive: bool = False
    rectify: bool = False


class _Packed(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("depth", "columns")),
        *((name, ctypes.c_void_p) for name in ("values", "sums")),
    ]


class _Int8Linear(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("input", "output")),
        ("rows", ctypes.c_size_t),
        ("weight", _Packed),
        *((name, ctypes.c_void_p) for name in ("scale", "bias")),
        *((name, ctypes.c_bool) for name in ("is_positive", "rectify")),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Kernels:
    """The kernels of one set of instructions, on some threads."""

    library: ctypes.CDLL
    instructions: str
    threads: int

    def pack(self, weight: Array, *, transposed: bool) -> tuple[Array, Array]:
        """[K, N] int8 -> values [N / 32, K / 4, 32, 4] int8 and the columns' sums, both rounded
        up."""
        depth, columns = reversed(weight.shape) if transposed else weight.shape
        panels, groups = -(-columns // PANEL_COLUMNS), -(-depth // PANEL_DEPTH)
        memory = np.full(panels * groups * PANEL_COLUMNS * PANEL_DEPTH + _LINE, 7, np.int8)
        start = -memory.ctypes.data % _LINE
        values = memory[start : start + memory.size - _LINE]
        sums = np.full(panels * PANEL_COLUMNS, 7, np.int32)
        packed = _Packed(depth, columns, values.ctypes.data, sums.ctypes.data)
        self._check(
            self.library.call_pack_int8(
                self.instructions.encode(),
                ctypes.c_void_p(weight.ctypes.data),
                ctypes.c_bool(transposed),
                ctypes.byref(packed),
            )
        )
        return values.reshape(panels, groups, PANEL_COLUMNS, PANEL_DEPTH), sums

    def multiply(self, x: Array, product: Product) -> Array:
        """x [M, K] float32 -> [M, N] float32; what lies behind it is not written."""
        depth, columns = x.shape[1], len(product.scale)
        values, sums = self.pack(product.weight, transposed=product.transposed)
        bias = None if product.bias is None else product.bias.ctypes.data
        output = np.full((len(x) + 1, columns), 7, np.float32)
        arguments = _Int8Linear(
            x.ctypes.data,
            output.ctypes.data,
            len(x),
            _Packed(depth, columns, values.ctypes.data, sums.ctypes.data),
            product.scale.ctypes.data,
            bias,
            product.positive,
            product.rectify,
        )
        name, width = self.instructions.encode(), ctypes.c_size_t(self.threads)
        self._check(self.library.call_int8_linear(name, width, ctypes.byref(arguments)))
        assert (output[-1] == 7).all()
        return output[:-1]

    def _check(self, has_it: int) -> None:
        if not has_it:
            pytest.skip(f"this processor has no {self.instructions}")
