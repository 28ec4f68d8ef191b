"""Operators of the library give what functions of their names do; wrong inputs are refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from kernels.library import find_set
from kernels.one_call import open_call, open_model, value_of
from pegasus_engines.precision.passes.kernel_functions import DOMAIN, VERSION, add_function, call

Array = npt.NDArray[Any]
RNG = np.random.default_rng(22)
BATCH, BEAMS, HEADS, HEAD_DIM, SOURCE, TIME, POSITION = 2, 3, 2, 8, 11, 6, 4
D_MODEL = HEADS * HEAD_DIM


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape, dtype=np.float32)


def product(rows: int = 9, depth: int = 40, columns: int = 70) -> dict[str, Array]:
    weight = RNG.integers(-60, 61, (depth, columns), dtype=np.int8)
    scale = RNG.random(columns, dtype=np.float32)
    return {"x": floats(rows, depth), "weight": weight, "scale": scale, "bias": floats(columns)}


PRODUCT = ("weight", "scale", "bias")


def beams() -> dict[str, Array]:
    rows = BATCH * BEAMS
    return {
        "qkv": floats(rows, 3 * D_MODEL),
        **{name: floats(rows, HEADS, TIME, HEAD_DIM) for name in ("past_key", "past_value")},
        "position": np.array([POSITION], np.int32),
        "beam_width": np.array([BEAMS], np.int32),
        "indirection": RNG.integers(0, BEAMS, (BATCH, BEAMS, TIME), dtype=np.int32),
    }


def source() -> dict[str, Array]:
    mask = np.ones((BATCH, SOURCE), np.int64)
    mask[1, 7:] = 0
    keys = {name: floats(BATCH, HEADS, SOURCE, HEAD_DIM) for name in ("key", "value")}
    return {"query": floats(BATCH, BEAMS, D_MODEL), **keys, "mask": mask}


def thirds() -> dict[str, Array]:
    mask = source()["mask"]
    return {"qkv": floats(mask.size, 3 * D_MODEL), "attention_mask": mask}


@pytest.mark.parametrize(
    "attributes",
    [{}, {"positive": 1}, {"rectify": 1}, {"transposed": 1}, {"positive": 1, "rectify": 1}],
    ids=str,
)
@pytest.mark.parametrize("with_bias", [True, False])
def test_a_product_equals_the_stock_spelling_to_the_bit(
    attributes: dict[str, int], with_bias: bool, library: Path
) -> None:
    inputs = product()
    if attributes.get("positive"):
        inputs["x"] = np.maximum(inputs["x"], 0)
    inputs["x"][3] = 0
    if attributes.get("transposed"):
        inputs["weight"] = np.ascontiguousarray(inputs["weight"].T)
    if not with_bias:
        del inputs["bias"]
    constants = tuple(name for name in PRODUCT if name in inputs)
    stock, ours = (
        open_call("Int8Linear", inputs, attributes, constants=constants, library=each)
        for each in (None, library)
    )
    for rows in (1, 9):
        feeds = {"x": inputs["x"][:rows]}
        np.testing.assert_array_equal(ours.run(None, feeds)[0], stock.run(None, feeds)[0])


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    [
        ("SourceAttention", source(), {"num_heads": HEADS}),
        ("BeamAttention", beams(), {"num_heads": HEADS}),
        ("SelfAttention", thirds(), {"num_heads": HEADS}),
        (
            "SelfAttention",
            thirds() | {"attention_mask": np.zeros((BATCH, SOURCE), np.int64)},
            {"num_heads": HEADS},
        ),
    ],
    ids=["source", "beams", "self", "self, all padding"],
)
def test_attention_equals_the_stock_spelling(
    operator: str,
    inputs: dict[str, Array],
    attributes: dict[str, int],
    library: Path,
) -> None:
    stock, ours = (
        open_call(operator, inputs, attributes, library=each) for each in (None, library)
    )
    for got, expected in zip(ours.run(None, inputs), stock.run(None, inputs), strict=True):
        filled = np.s_[..., : POSITION + 1, :] if got.shape[-2:] == (TIME, HEAD_DIM) else np.s_[:]
        np.testing.assert_allclose(got[filled], expected[filled], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("columns", "k"), [(1, 1), (300, 1), (300, 16), (2000, 16), (2000, 300)])
def test_the_best_are_those_of_the_stock_spelling(columns: int, k: int, library: Path) -> None:
    inputs = {"logits": 3 * floats(5, columns), "k": np.array([k], np.int64)}
    inputs["logits"][1] = np.round(inputs["logits"][1])
    inputs["logits"][2] = 4
    if columns > 1:
        inputs["logits"][3, ::3] = -np.inf
    stock, ours = (
        open_call("LogSoftmaxTopK", inputs, {}, library=each).run(None, inputs)
        for each in (None, library)
    )
    np.testing.assert_allclose(ours[0], stock[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours[1], stock[1], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(ours[2], stock[2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("k", [0, 1, 2, 16])
def test_rows_that_have_no_best_are_those_of_the_stock_spelling(
    k: int, bad: float, library: Path
) -> None:
    inputs = {"logits": floats(3, 2000), "k": np.array([k], np.int64)}
    inputs["logits"][1, 700 : 701 if bad != -np.inf else 2000] = bad
    inputs["logits"][2] = bad
    stock, ours = (
        open_call("LogSoftmaxTopK", inputs, {}, library=each).run(None, inputs)
        for each in (None, library)
    )
    for got, expected in zip(ours, stock, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_halves_are_what_attention_over_rounded_keys_reads(library: Path) -> None:
    inputs = source()
    given = {name: floats(BATCH, SOURCE, D_MODEL) for name in ("key", "value")}
    kept, rounded = {}, {}
    dtype = ml_dtypes.bfloat16 if find_set(library).endswith("bf16") else np.float16
    for name, array in given.items():
        keep = open_call("KeepSource", {"x": array}, {"num_heads": HEADS}, library=library)
        (kept[name],) = keep.run(None, {"x": array})
        heads = array.reshape(BATCH, SOURCE, HEADS, HEAD_DIM).transpose(0, 2, 1, 3)
        rounded[name] = heads.astype(dtype)
        np.testing.assert_array_equal(kept[name].view(dtype), rounded[name])
    ours = open_call("SourceAttention", inputs, {"num_heads": HEADS}, library=library)
    (got,) = ours.run(None, inputs | kept)
    full = {name: np.ascontiguousarray(array, np.float32) for name, array in rounded.items()}
    (expected,) = ours.run(None, inputs | full)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def test_beams_attend_to_a_past_in_halves(library: Path) -> None:
    inputs = beams()
    kept, full = dict(inputs), dict(inputs)
    for name in ("past_key", "past_value"):
        halves = inputs[name].astype(np.float16)
        kept[name], full[name] = halves.view(np.float32), halves.astype(np.float32)
    half, plain = ({"num_heads": HEADS} | more for more in ({"half": 1}, {}))
    found, *caches = open_call("BeamAttention", kept, half, library=library).run(None, kept)
    # What is new is rounded, too.
    expected, *wanted = open_call("BeamAttention", full, plain, library=library).run(None, full)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    filled = np.s_[:, :, : POSITION + 1]
    for got, cache in zip(caches, wanted, strict=True):
        np.testing.assert_array_equal(
            got.view(np.float16)[filled], cache.astype(np.float16)[filled]
        )


def test_several_threads_may_run_one_session(library: Path) -> None:
    inputs = product(rows=40, depth=256, columns=300)
    ours = open_call("Int8Linear", inputs, {}, constants=PRODUCT, library=library)
    feeds = [{"x": floats(rows, 256)} for rows in (1, 8, 20, 40)]
    expected = [ours.run(None, each)[0] for each in feeds]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            for got, wanted in zip(
                pool.map(lambda x: ours.run(None, x)[0], feeds), expected, strict=True
            ):
                np.testing.assert_array_equal(got, wanted)


def test_a_head_that_is_packed_in_parts_equals_the_stock_spelling_to_the_bit(library: Path) -> None:
    """More than 4 MB, and no whole number of panels."""
    inputs = product(rows=3, depth=1024, columns=4217)
    inputs["weight"] = np.ascontiguousarray(inputs["weight"].T)
    stock, ours = (
        open_call("Int8Linear", inputs, {"transposed": 1}, constants=PRODUCT, library=each)
        for each in (None, library)
    )
    feeds = {"x": inputs["x"]}
    np.testing.assert_array_equal(ours.run(None, feeds)[0], stock.run(None, feeds)[0])


def test_weights_that_are_no_constants_are_refused(library: Path) -> None:
    with pytest.raises(Exception, match="weight is no constant matrix"):
        open_call("Int8Linear", product(), {}, library=library)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"indirection": np.full((BATCH, BEAMS, TIME), BEAMS, np.int32)}, "has a row 3"),
        ({"indirection": np.full((BATCH, BEAMS, TIME), -1, np.int32)}, "has a row -1"),
        ({"position": np.array([TIME], np.int32)}, "position is 6, expected one below 6"),
        ({"position": np.array([-1], np.int32)}, "position is -1"),
        ({"past_value": floats(BATCH * BEAMS, HEADS, TIME, 4)}, r"past_value is \[6, 2, 6, 4\]"),
        ({"qkv": floats(BATCH * BEAMS, 47)}, r"qkv is \[6, 47\], expected 6 heads"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_would_be_read_out_of_bounds_is_refused(
    change: dict[str, Array], message: str, library: Path
) -> None:
    inputs = beams()
    heads = {"num_heads": HEADS}
    ours = open_call("BeamAttention", inputs, heads, library=library)
    with pytest.raises(Exception, match=message):
        ours.run(None, inputs | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"mask": np.ones((BATCH, SOURCE - 1), np.int64)},
            r"mask is \[2, 10\], expected \[2, 11\]",
        ),
        ({"key": floats(BATCH, HEADS, SOURCE, 3)}, "expected heads of as many floats"),
        ({"query": floats(BATCH, BEAMS, 15)}, "expected 2 heads of 1 to 512"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_sources_that_do_not_fit_are_refused(
    change: dict[str, Array], message: str, library: Path
) -> None:
    inputs = source()
    ours = open_call("SourceAttention", inputs, {"num_heads": HEADS}, library=library)
    with pytest.raises(Exception, match=message):
        ours.run(None, inputs | change)


def test_calls_of_older_graphs_stay_functions(library: Path) -> None:
    """Bundles of version 0.1 have a BlockSparseAttention that tells an operator no blocks."""
    x = value_of("x", floats(1, 4, D_MODEL))
    node = ir.node("BlockSparseAttention", [x, x, x], domain=DOMAIN)
    given = [ir.Value(name=name) for name in ("query", "key", "value")]
    body = ir.node("Neg", given[:1])
    body.outputs[0].name = "attended"
    function = ir.Function(
        DOMAIN,
        node.op_type,
        graph=ir.Graph(given, body.outputs, nodes=[body], opset_imports={"": 18}),
        attributes=[],
    )
    node.outputs[0].name, node.outputs[0].type = "y", x.type
    opsets = {"": 18, DOMAIN: VERSION - 1}
    graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports=opsets, name="older")
    ours = open_model(ir.Model(graph, ir_version=10, functions=[function]), library)
    feeds = {"x": floats(1, 4, D_MODEL)}
    np.testing.assert_array_equal(ours.run(None, feeds)[0], -feeds["x"])


def rows(count: int = 9, width: int = 1000) -> dict[str, Array]:
    given = {name: floats(count, width) for name in "xy"}
    return {**given, "weight": floats(width), "bias": floats(width)}


@pytest.mark.parametrize("offset", [0, 1, 100, 1e4], ids="mean {}".format)
@pytest.mark.parametrize("scale", [0.01, 1, 100], ids="deviation {}".format)
def test_a_sum_is_normalised_at_least_as_exactly_as_in_the_stock_spelling(
    offset: float, scale: float, library: Path
) -> None:
    inputs = rows()
    inputs["x"] = np.float32(scale) * inputs["x"] + np.float32(offset)
    inputs["y"] *= np.float32(scale)
    wide = (inputs["x"] + inputs["y"]).astype(np.float64)
    deviation = np.sqrt(wide.var(1, keepdims=True) + np.float32(1e-5))
    exact = (wide - wide.mean(1, keepdims=True)) / deviation * inputs["weight"] + inputs["bias"]
    errors = []
    for each in (None, library):
        session = open_call("AddLayerNormalization", inputs, {"epsilon": 1e-5}, library=each)
        total, normed = session.run(None, inputs)
        np.testing.assert_array_equal(total, inputs["x"] + inputs["y"])
        errors.append(np.abs(normed - exact).max())
    few_units = 4 * np.finfo(np.float32).eps * np.abs(exact).max()
    assert errors[1] <= max(errors[0], few_units)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sum_that_is_not_finite_is_normalised_as_in_the_stock_spelling(
    value: float, library: Path
) -> None:
    inputs = rows()
    inputs["x"][2, 7] = inputs["y"][5, 999] = value
    for got, expected in zip(
        *(
            open_call("AddLayerNormalization", inputs, {"epsilon": 1e-5}, library=each).run(
                None, inputs
            )
            for each in (library, None)
        ),
        strict=True,
    ):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_same", [False, True], ids=["two values", "one value twice"])
def test_a_sum_and_what_is_normalised_may_take_the_place_of_what_is_added(
    is_same: bool, library: Path
) -> None:
    """As inside of a graph, where nobody else reads that, and shapes are known to be the same."""
    inputs = rows()
    weights = [value_of(name, inputs[name], is_constant=True) for name in ("weight", "bias")]
    given = [value_of(name, inputs[name]) for name in "xy"]
    negated = [ir.node("Neg", [value]) for value in given]
    x, y = (each.outputs[0] for each in negated)
    attributes = {"epsilon": 1e-5}
    node = call(
        "AddLayerNormalization", [x, x if is_same else y, *weights], attributes, num_outputs=2
    )
    results = [ir.node("Neg", [value]) for value in node.outputs]
    nodes = [*negated, node, *results]
    for number, value in enumerate(output for each in nodes for output in each.outputs):
        value.name, value.type = f"value.{number}", weights[0].type
        value.shape = ir.Shape(["rows", inputs["x"].shape[1]])
    graph = ir.Graph(
        given,
        [each.outputs[0] for each in results],
        nodes=nodes,
        initializers=weights,
        opset_imports={"": 18, DOMAIN: VERSION},
        name="inside",
    )
    model = ir.Model(graph, ir_version=10)
    add_function(model, node)
    feeds = {name: inputs[name] for name in "xy"}
    stock, ours = (open_model(model, each).run(None, feeds) for each in (None, library))
    np.testing.assert_array_equal(ours[0], stock[0])
    np.testing.assert_allclose(ours[1], stock[1], rtol=0, atol=1e-5)
