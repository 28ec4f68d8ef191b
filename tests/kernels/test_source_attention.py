"""Cross-attention against NumPy in float64, on the same rounded keys where they are halves."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.library import Array, Kernels, softmax

TOLERANCE = 4e-6
"""Of the largest value; scores reach 30 or so, and their rounding shows in the weights."""
CASES = (
    *((1, 8, 2, 64, 100), (2, 1, 3, 64, 17), (3, 5, 2, 24, 65), (2, 16, 2, 80, 129)),
    *((1, 3, 1, 7, 5), (2, 64, 2, 8, 70), (1, 12, 4, 33, 1), (2, 8, 16, 64, 512)),
    *((1, 2, 2, 96, 64), (1, 7, 2, 1, 200), (1, 1, 1, 128, 4096), (1, 2, 1, 512, 64)),
)
"""B, R, H, Dh, S."""
MASKS = ("none", "right", "holes", "all of one document")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_softmax_attention(
    kernels: Kernels, case: tuple[int, ...], dtype: type, mask: str
) -> None:
    query, key, value = _make(case, dtype)
    unmasked = _make_mask(mask, case[0], case[4])
    found = kernels.source_attention(query, key, value, unmasked)
    error = np.abs(found - _attend(query, key, value, unmasked)).max()
    assert error <= TOLERANCE * np.abs(value).max().astype(np.float64)


def test_a_document_that_is_all_padding_gives_the_mean_of_its_values(
    kernels: Kernels,
) -> None:
    query, key, value = _make((1, 8, 2, 64, 70), np.float32)
    found = kernels.source_attention(query, key, value, np.zeros((1, 70), np.int64))
    mean = value.mean(2).reshape(1, 1, -1)  # [B, H, Dh] -> [B, 1, H*Dh]
    assert np.allclose(found, np.broadcast_to(mean, found.shape), atol=1e-6)


def test_padding_on_the_right_is_never_read(kernels: Kernels) -> None:
    query, key, value = _make((1, 8, 2, 64, 100), np.float32)
    key[:, :, 41:], value[:, :, 41:] = np.nan, np.nan
    mask = (np.arange(100) < 41).astype(np.int64)[None]
    assert np.isfinite(kernels.source_attention(query, key, value, mask)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", ["query", "key", "value"])
def test_what_is_not_finite_is_not_hidden(
    kernels: Kernels, which: str, bad: float, dtype: type
) -> None:
    """Of an infinite key, either sign of the score: the row of zero weight is not silent."""
    query, key, value = _make((1, 8, 1, 64, 70), dtype)
    {"query": query, "key": key, "value": value}[which][..., 3, 5] = bad
    found = kernels.source_attention(query, key, value, np.ones((1, 70), np.int64))
    rows = ~np.isfinite(found).all(-1)[0]
    assert rows[3] if which == "query" else rows.all()


def _make(case: tuple[int, ...], dtype: type) -> tuple[Array, Array, Array]:
    batch, rows, heads, head_dim, length = case
    generator = np.random.default_rng(0)
    query = 3 * generator.standard_normal((batch, rows, heads * head_dim), dtype=np.float32)
    kept = (batch, heads, length, head_dim)
    key, value = (generator.standard_normal(kept, dtype=np.float32) for _ in range(2))
    return query, key.astype(dtype), value.astype(dtype)


def _make_mask(kind: str, batch: int, length: int) -> Array:
    mask = np.ones((batch, length), np.int64)
    if kind == "right":
        for b in range(batch):
            mask[b, max(1, length - 7 * b - 3) :] = 0
    if kind == "holes":
        mask = (np.random.default_rng(1).random((batch, length)) < 0.5).astype(np.int64)
    if kind == "all of one document":
        mask[0] = 0
    return mask


def _attend(query: Array, key: Array, value: Array, mask: Array) -> Array:
    batch, rows, _ = query.shape
    heads, head_dim = key.shape[1], key.shape[3]
    split = query.reshape(batch, rows, heads, head_dim).transpose(0, 2, 1, 3)
    scores = split.astype(np.float64) @ key.astype(np.float64).transpose(0, 1, 3, 2)
    lowest = float(np.finfo(np.float32).min)
    scores = np.where(mask[:, None, None] == 0, lowest, scores / np.sqrt(head_dim))
    mixed = softmax(scores) @ value.astype(np.float64)  # [B, H, R, Dh]
    return np.asarray(mixed.transpose(0, 2, 1, 3).reshape(query.shape))
