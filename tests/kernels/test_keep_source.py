"""Keys and values of the source are NumPy's transposition and rounding, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.library import Array, Kernels

CASES = ((1, 1, 1, 1), (2, 33, 3, 24), (1, 512, 16, 64), (2, 40, 2, 7), (1, 20, 4, 80))
"""B, S, H, Dh."""


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_heads_are_put_together_and_rounded_to_nearest(
    kernels: Kernels, case: tuple[int, ...], dtype: type
) -> None:
    batch, length, heads, head_dim = case
    generator = np.random.default_rng(0)
    x = generator.normal(size=(batch, length, heads * head_dim), scale=100).astype(np.float32)
    assert np.array_equal(kernels.keep_source(x, heads, dtype), _keep(x, heads, dtype))


def test_what_a_half_cannot_hold_becomes_an_infinity(kernels: Kernels) -> None:
    x = np.float32([[[65504, 65519, 65520, -70000, 1e-8, np.nan, np.inf, -0.0]]])
    found = kernels.keep_source(x, 1, np.float16)[0, 0, 0]
    with np.errstate(over="ignore"):
        assert np.array_equal(found, x[0, 0].astype(np.float16), equal_nan=True)
    assert np.isinf(found[[2, 3]]).all()


def _keep(x: Array, heads: int, dtype: type) -> Array:
    batch, length, width = x.shape
    split = x.reshape(batch, length, heads, width // heads)  # [B, S, H*Dh] -> [B, S, H, Dh]
    return split.transpose(0, 2, 1, 3).astype(dtype)
