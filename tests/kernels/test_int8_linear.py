"""The int8 product is the stock spelling's bit for bit, and right.

Dimensions: M rows, K input channels, N output channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from kernels.library import PANEL_COLUMNS, PANEL_DEPTH, Array, Kernels
from kernels.one_call import open_call
from pegasus_engines.precision.int8 import quantize_rows

SHAPES = (
    *((1, 1, 1), (2, 5, 31), (3, 63, 33), (7, 64, 96), (8, 129, 100)),
    *((12, 30, 7), (13, 257, 64), (40, 1023, 65), (600, 40, 70), (130, 4096, 33)),
)
"""M, K, N."""


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


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_floats_are_the_stock_spellings_bit_for_bit(
    kernels: Kernels, shape: tuple[int, int, int], transposed: bool
) -> None:
    number = SHAPES.index(shape)
    x, product = _example(shape, transposed=transposed, positive=False, number=number)
    assert _bits(_multiply(kernels, x, product)) == _bits(_stock(x, product))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_behind_a_relu_have_255_steps(kernels: Kernels, shape: tuple[int, int, int]) -> None:
    x, product = _example(shape, transposed=False, positive=True, number=SHAPES.index(shape))
    assert _bits(_multiply(kernels, x, product)) == _bits(_stock(x, product))


def test_many_columns_are_right_to_the_last(kernels: Kernels) -> None:
    x, product = _example((3, 64, 96103), transposed=True, positive=False, number=0)
    assert _bits(_multiply(kernels, x, product)) == _bits(_stock(x, product))


@pytest.mark.parametrize("value", [0, 1e-40, 3e-38, 1e38, np.inf, -np.inf], ids=str)
def test_rows_of_zeros_tiny_values_and_infinities_are_the_stock_spellings(
    kernels: Kernels, value: float
) -> None:
    x, product = _example((5, 70, 40), transposed=False, positive=False, number=1)
    x[1] = 0
    x[3, 1:] = 0
    x[3, 0] = value
    x[4, -1] = value
    assert _bits(_multiply(kernels, x, product)) == _bits(_stock(x, product))


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("place", [0, 1, 35, 69])
def test_a_nan_anywhere_in_a_row_is_seen_in_all_that_the_row_gives(
    kernels: Kernels, place: int, positive: bool
) -> None:
    """The stock spelling may lose one that is not the row's first."""
    x, product = _example((3, 70, 40), transposed=False, positive=positive, number=2)
    x[1, place] = np.nan
    found = _multiply(kernels, x, product)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 300, 40), (3, 4096, 33)], ids=str)
def test_products_are_those_of_integers_and_near_those_of_floats(
    kernels: Kernels, shape: tuple[int, int, int]
) -> None:
    x, product = _example(shape, transposed=False, positive=False, number=3)
    largest = np.abs(x).max(1, keepdims=True)
    rounded = np.rint(x / largest / np.float32(1 / 127)).astype(np.int64)
    sums = rounded @ product.weight.astype(np.int64)
    expected = sums * (product.scale.astype(np.float64) * largest / 127)
    if product.bias is not None:
        expected += product.bias
    if product.rectify:
        expected = np.maximum(expected, 0)
    found = _multiply(kernels, x, product)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_sums_of_the_largest_bytes_neither_saturate_nor_overflow(
    kernels: Kernels,
) -> None:
    weight = np.full((4096, 33), 64, np.int8)
    weight[::2, 1], weight[1::2, 1] = 127, 1
    weight[:, 2] *= -1
    product = Product(weight=weight, scale=np.ones(33, np.float32), positive=True)
    x = np.ones((2, 4096), np.float32)
    expected = weight.astype(np.float64).sum(0)
    np.testing.assert_allclose(_multiply(kernels, x, product)[0], expected, rtol=1e-6)


def test_no_rows_give_no_rows(kernels: Kernels) -> None:
    _, product = _example((1, 8, 3), transposed=False, positive=False, number=0)
    assert _multiply(kernels, np.empty((0, 8), np.float32), product).shape == (0, 3)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (4, 32), (9, 33), (31, 100)], ids=str)
def test_packed_are_panels_with_zeros_beyond_the_ends(
    kernels: Kernels, shape: tuple[int, int], transposed: bool
) -> None:
    weight = np.random.default_rng(0).integers(-127, 128, shape, np.int8)
    given = np.ascontiguousarray(weight.T) if transposed else weight
    values, sums = kernels.pack_int8(given, transposed=transposed)
    panels, groups = values.shape[:2]
    padded = np.zeros((groups * PANEL_DEPTH, panels * PANEL_COLUMNS), np.int8)
    padded[: shape[0], : shape[1]] = weight
    split = padded.reshape(groups, PANEL_DEPTH, panels, PANEL_COLUMNS)  # [K, N] -> [., 4, ., 32]
    assert np.array_equal(values, split.transpose(2, 0, 3, 1))
    assert np.array_equal(sums, padded.sum(0, dtype=np.int32))


def _example(
    shape: tuple[int, int, int], *, transposed: bool, positive: bool, number: int
) -> tuple[Array, Product]:
    """x [M, K], of rows of all sizes, and a product; bias and ReLU depend on the number."""
    rows, depth, columns = shape
    generator = np.random.default_rng(number)
    x = generator.normal(size=(rows, depth)).astype(np.float32)
    x *= np.exp(generator.normal(size=(rows, 1), scale=3)).astype(np.float32)
    weight = quantize_rows(generator.normal(size=(columns, depth)).astype(np.float32))
    bias = generator.normal(size=columns).astype(np.float32) if number % 2 else None
    product = Product(
        weight=weight.values if transposed else np.ascontiguousarray(weight.values.T),
        scale=weight.scale,
        bias=bias,
        transposed=transposed,
        positive=positive,
        rectify=number % 3 == 1,
    )
    return np.abs(x) if positive else x, product


def _multiply(kernels: Kernels, x: Array, product: Product) -> Array:
    return kernels.int8_linear(
        x,
        product.weight,
        product.scale,
        product.bias,
        transposed=product.transposed,
        positive=product.positive,
        rectify=product.rectify,
    )


def _stock(x: Array, product: Product) -> Array:
    """What ONNX Runtime makes of the function that stands for the operator."""
    given = {"weight": product.weight, "scale": product.scale, "bias": product.bias}
    constants = {name: array for name, array in given.items() if array is not None}
    names = ("transposed", "positive", "rectify")
    attributes = {name: 1 for name in names if getattr(product, name)}
    inputs = {"x": x, **constants}
    session = open_call("Int8Linear", inputs, attributes, constants=tuple(constants))
    (found,) = session.run(None, {"x": x})
    return np.asarray(found)


def _bits(floats: Array) -> list[int]:
    """NaN is NaN, whichever."""
    quiet = np.where(np.isnan(floats), np.float32(np.nan), floats)
    return quiet.view(np.uint32).ravel().tolist()
