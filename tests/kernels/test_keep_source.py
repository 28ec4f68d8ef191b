"""Keys and values of the source are NumPy's transposition and rounding, bit for bit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from kernels.library import Array, Kernels

CASES = ((1, 1, 1, 1), (2, 33, 3, 24), (1, 512, 16, 64), (2, 40, 2, 7), (1, 20, 4, 80))
"""B, S, H, Dh."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_heads_are_put_together_and_rounded_to_nearest(
    source_kernels: Kernels, case: tuple[int, ...]
) -> None:
    batch, length, heads, head_dim = case
    generator = np.random.default_rng(0)
    x = generator.normal(size=(batch, length, heads * head_dim), scale=100).astype(np.float32)
    expected = _keep(x, heads, source_kernels.half)
    assert np.array_equal(source_kernels.keep_source(x, heads), expected)


def test_what_a_half_cannot_hold_becomes_an_infinity(source_kernels: Kernels) -> None:
    x = np.float32([[[65504, 65519, 65520, -70000, 1e-8, np.nan, np.inf, -0.0, 3.4e38]]])
    found = source_kernels.keep_source(x, 1)[0, 0, 0].astype(np.float32)
    with np.errstate(over="ignore"):
        expected = x[0, 0].astype(source_kernels.half).astype(np.float32)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.isinf(found).tolist()[-1]


def _keep(x: Array, heads: int, dtype: npt.DTypeLike) -> Array:
    batch, length, width = x.shape
    split = x.reshape(batch, length, heads, width // heads)  # [B, S, H*Dh] -> [B, S, H, Dh]
    return split.transpose(0, 2, 1, 3).astype(dtype)
