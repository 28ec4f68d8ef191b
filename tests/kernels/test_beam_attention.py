"""Self-attention of beams against NumPy in float64, each beam's past put together row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from kernels.library import Array, Kernels, softmax

TOLERANCE = 2e-6
"""Of values of about unit size."""
CASES = (
    *((1, 8, 16, 64, 128, 0), (1, 8, 16, 64, 128, 4), (2, 4, 3, 24, 70, 63)),
    *((2, 4, 3, 24, 70, 64), (3, 1, 2, 7, 70, 69), (1, 8, 2, 80, 200, 130), (1, 3, 2, 33, 20, 16)),
)
"""B, R, H, Dh, T, position."""


@pytest.mark.parametrize("kept", [np.float32, np.float16])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_softmax_attention_over_the_beams_own_past(
    kernels: Kernels, case: tuple[int, ...], kept: npt.DTypeLike
) -> None:
    """Neither what lies beyond the position nor the indirection there is read; of the new token,
    what is attended to is what is kept."""
    steps, key, value, indirection = _make(case)
    key, value = key.astype(kept), value.astype(kept)
    expected = _attend(steps, key, value, indirection, case[5])
    found = kernels.beam_attention(steps, key, value, indirection, case[5])
    assert np.abs(found - expected).max() <= TOLERANCE


@pytest.mark.parametrize("kept", [np.float32, np.float16])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_only_the_new_tokens_key_and_value_are_written(
    kernels: Kernels, case: tuple[int, ...], kept: npt.DTypeLike
) -> None:
    steps, key, value, indirection = _make(case)
    key, value = key.astype(kept), value.astype(kept)
    position, before = case[5], (key.copy(), value.copy())
    kernels.beam_attention(steps, key, value, indirection, position)
    for which, (cache, old) in enumerate(zip((key, value), before, strict=True), start=1):
        old[:, :, position] = steps[:, which].reshape(old[:, :, position].shape)
        assert np.array_equal(cache.astype(np.float32), old.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", range(3))
def test_what_is_not_finite_is_not_hidden(kernels: Kernels, which: int, bad: float) -> None:
    steps, key, value, indirection = _make((1, 8, 1, 64, 16, 5))
    steps[3, which, 5] = bad
    found = kernels.beam_attention(steps, key, value, indirection, 5)
    finite = np.isfinite(found).all(-1)
    assert not finite[3]
    assert finite[[0, 1, 2, 4, 5, 6, 7]].all()


def _make(case: tuple[int, ...]) -> tuple[Array, Array, Array, Array]:
    batch, rows, heads, head_dim, capacity, position = case
    generator = np.random.default_rng(0)
    steps = generator.standard_normal((batch * rows, 3, heads * head_dim), dtype=np.float32)
    cache = (batch * rows, heads, capacity, head_dim)
    key, value = (generator.standard_normal(cache, dtype=np.float32) for _ in range(2))
    key[:, :, position:], value[:, :, position:] = np.nan, np.nan
    indirection = generator.integers(0, rows, (batch, rows, capacity)).astype(np.int32)
    indirection[:, :, position:] = 99999
    return steps, key, value, indirection


def _attend(steps: Array, key: Array, value: Array, indirection: Array, position: int) -> Array:
    rows, heads, _, head_dim = key.shape
    beams = indirection.shape[1]
    found = np.empty((rows, heads, head_dim))
    for row in range(rows):
        document, beam = divmod(row, beams)
        past = document * beams + indirection[document, beam, :position]
        query, *new = steps[row].reshape(3, heads, 1, head_dim)
        new_key, new_value = (each.astype(key.dtype).astype(np.float64) for each in new)
        places = np.arange(position)
        keys = (
            key[past, :, places].transpose(1, 0, 2).astype(np.float64)
        )  # [T, H, Dh] -> [H, T, Dh]
        values = value[past, :, places].transpose(1, 0, 2).astype(np.float64)
        keys = np.concatenate([keys, new_key], axis=1)
        values = np.concatenate([values, new_value], axis=1)
        weights = softmax(query.astype(np.float64) @ keys.transpose(0, 2, 1) / np.sqrt(head_dim))
        found[row] = (weights @ values)[:, 0]
    return found.reshape(rows, heads * head_dim)
