"""Cross-attention against NumPy in float64, on the same rounded keys where they are halves."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from kernels.library import Array, Kernels, softmax

TOLERANCE = 4e-6
"""Of the largest value; scores reach 30 or so, and their rounding shows in the weights."""
BFLOAT16_TOLERANCE = 2**-8
"""The same, where weights are rounded to that."""
CASES = (
    *((1, 8, 2, 64, 100), (2, 1, 3, 64, 17), (3, 5, 2, 24, 65), (2, 16, 2, 80, 129)),
    *((1, 3, 1, 7, 5), (2, 64, 2, 8, 70), (1, 12, 4, 33, 1), (2, 8, 16, 64, 512)),
    *(
        (2, 13, 1, 96, 33),
        (1, 19, 2, 32, 70),
        (1, 2, 2, 96, 64),
        (1, 7, 2, 1, 200),
        (1, 1, 1, 128, 4096),
        (1, 2, 1, 512, 64),
    ),
)
"""B, R, H, Dh, S."""
MASKS = ("none", "right", "holes", "all of one document")


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("is_half", [True, False])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_is_softmax_attention(
    source_kernels: Kernels, case: tuple[int, ...], is_half: bool, mask: str
) -> None:
    dtype = source_kernels.half if is_half else np.float32
    query, key, value = _make(case, dtype)
    unmasked = _make_mask(mask, case[0], case[4])
    found = source_kernels.source_attention(query, key, value, unmasked)
    is_bfloat16 = dtype == ml_dtypes.bfloat16
    if is_bfloat16:
        query = _round_queries(query, case[3])
    error = np.abs(found - _attend(query, key, value, unmasked)).max()
    tolerance = BFLOAT16_TOLERANCE if is_bfloat16 else TOLERANCE
    assert error <= tolerance * np.abs(value).max().astype(np.float64)


@pytest.mark.parametrize("is_half", [True, False])
def test_a_document_that_is_all_padding_gives_the_mean_of_its_values(
    source_kernels: Kernels, is_half: bool
) -> None:
    dtype = source_kernels.half if is_half else np.float32
    query, key, value = _make((1, 8, 2, 64, 70), dtype)
    found = source_kernels.source_attention(query, key, value, np.zeros((1, 70), np.int64))
    mean = value.astype(np.float32).mean(2).reshape(1, 1, -1)  # [B, H, Dh] -> [B, 1, H*Dh]
    assert np.allclose(found, np.broadcast_to(mean, found.shape), atol=1e-6)


@pytest.mark.parametrize("is_half", [True, False])
def test_padding_on_the_right_is_never_read(source_kernels: Kernels, is_half: bool) -> None:
    dtype = source_kernels.half if is_half else np.float32
    query, key, value = _make((1, 8, 2, 64, 100), dtype)
    key[:, :, 41:], value[:, :, 41:] = np.nan, np.nan
    mask = (np.arange(100) < 41).astype(np.int64)[None]
    assert np.isfinite(source_kernels.source_attention(query, key, value, mask)).all()


@pytest.mark.parametrize("is_half", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("which", "place"), [("query", 3), *((x, i) for x in ("key", "value") for i in (3, 70))]
)
def test_what_is_not_finite_is_not_hidden(
    source_kernels: Kernels, which: str, bad: float, is_half: bool, place: int
) -> None:
    """Of an infinite key, either sign of the score: the row of zero weight is not silent."""
    dtype = source_kernels.half if is_half else np.float32
    query, key, value = _make((1, 8, 1, 64, 71), dtype)
    {"query": query, "key": key, "value": value}[which][..., place, 5] = bad
    found = source_kernels.source_attention(query, key, value, np.ones((1, 71), np.int64))
    rows = ~np.isfinite(found).all(-1)[0]
    assert rows[place] if which == "query" else rows.all()


def _make(case: tuple[int, ...], dtype: npt.DTypeLike) -> tuple[Array, Array, Array]:
    batch, rows, heads, head_dim, length = case
    generator = np.random.default_rng(0)
    query = 3 * generator.standard_normal((batch, rows, heads * head_dim), dtype=np.float32)
    kept = (batch, heads, length, head_dim)
    key, value = (generator.standard_normal(kept, dtype=np.float32) for _ in range(2))
    return query, key.astype(dtype), value.astype(dtype)


def _round_queries(query: Array, head_dim: int) -> Array:
    """As products of bfloat16 have them: those of five to eight rows together, and of heads that
    are a multiple of 32."""
    rows = query.shape[1]
    together = np.minimum(8, rows - np.arange(rows) // 8 * 8)
    scale = 1 / np.sqrt(np.float32(head_dim))
    rounded = (query * scale).astype(ml_dtypes.bfloat16).astype(np.float64) / scale
    is_rounded = (together > 4) & (head_dim % 32 == 0)
    return np.where(is_rounded[:, None], rounded, query)


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
