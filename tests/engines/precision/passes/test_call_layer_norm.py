"""Sums of rows and their LayerNormalization become calls; all others stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from engines.precision.products import graph_input, initializer, model_of, run
from pegasus_engines.precision.passes.call_layer_norm import call_layer_norm

WIDTH = 8
Shape = tuple[int | str, ...]
ROWS: Shape = ("rows", WIDTH)


def graph(
    x: Shape = ROWS,
    y: Shape = ROWS,
    *,
    weights: int = 2,
    norms: int = 1,
    outputs: int = 1,
    width: int = WIDTH,
    dtype: ir.DataType = ir.DataType.FLOAT,
    **attributes: float,
) -> ir.Model:
    """A sum that is normalised, and taken further."""
    given = [graph_input(name, dtype, shape) for name, shape in (("x", x), ("y", y))]
    rng = np.random.default_rng(0)
    constants = [
        initializer(name, rng.standard_normal(width, np.float32)) for name in ("scale", "shift")
    ]
    add = ir.node("Add", given)
    total = add.outputs[0]
    total.name, total.type, total.shape = "total", given[0].type, ir.Shape(x)
    normed = [
        ir.node(
            "LayerNormalization",
            [total, *constants[:weights]],
            {"axis": -1, "epsilon": 0.25} | attributes,
            num_outputs=outputs,
        )
        for _ in range(norms)
    ]
    for number, each in enumerate(normed):
        each.outputs[0].name, each.outputs[0].shape = f"normed.{number}", ir.Shape(x)
    further = ir.node("Neg", [total])
    further.outputs[0].name = "further"
    found = [total, *(each.outputs[0] for each in normed), *further.outputs]
    return model_of(given, found, [add, *normed, further], constants)


def operators(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def test_a_sum_of_rows_and_its_norm_are_one_call_whoever_else_reads_them(tmp_path: Path) -> None:
    feeds = {
        name: np.random.default_rng(seed).standard_normal((3, WIDTH), np.float32)
        for seed, name in enumerate("xy")
    }
    expected = run(graph(), tmp_path, feeds)
    model = graph()
    assert call_layer_norm(model)
    assert operators(model) == {"AddLayerNormalization": 1, "Neg": 1}
    (node,) = (node for node in model.graph if node.domain)
    assert [value.name for value in node.inputs if value] == ["x", "y", "scale", "shift"]
    assert node.attributes["epsilon"].as_float() == 0.25
    assert [value.name for value in model.graph.outputs] == ["total", "normed.0", "further"]
    assert [value.shape for value in node.outputs] == [ir.Shape(ROWS)] * 2
    for found, wanted in zip(run(model, tmp_path, feeds), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_calls_have_an_epsilon_each(tmp_path: Path) -> None:
    x, y = (graph_input(name, ir.DataType.FLOAT, ROWS) for name in "xy")
    weights = [initializer(name, np.ones(WIDTH, np.float32)) for name in ("scale", "shift")]
    nodes = []
    for epsilon in (0.25, 4.0):
        add = ir.node("Add", [x, y])
        attributes = {"axis": 1, "epsilon": epsilon}
        norm = ir.node("LayerNormalization", [add.outputs[0], *weights], attributes)
        add.outputs[0].name, norm.outputs[0].name = f"total.{epsilon}", f"normed.{epsilon}"
        nodes += [add, norm]
    model = model_of([x, y], [each.outputs[0] for each in nodes[1::2]], nodes, weights)
    feeds = {name: np.float32([range(WIDTH)]) for name in "xy"}
    expected = run(model, tmp_path, feeds)
    assert call_layer_norm(model)
    assert operators(model) == {"AddLayerNormalization": 2}
    assert len(model.functions) == 1
    for found, wanted in zip(run(model, tmp_path, feeds), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_what_a_node_does_not_say_is_as_onnx_has_it() -> None:
    model = graph()
    (norm,) = (node for node in model.graph if node.op_type == "LayerNormalization")
    norm.attributes.clear()
    assert call_layer_norm(model)
    (node,) = (node for node in model.graph if node.domain)
    assert node.attributes["epsilon"].as_float() == np.float32(1e-5)


@pytest.mark.parametrize(
    ("x", "y"),
    [(ROWS, ("2*(rows//2)", WIDTH)), ((3, WIDTH), (3, WIDTH))],
    ids=["names that tracing found equal", "as many rows"],
)
def test_rows_that_are_as_many_are_called(x: Shape, y: Shape) -> None:
    assert call_layer_norm(graph(x, y))


@pytest.mark.parametrize(
    "model",
    [
        graph(y=(1, WIDTH)),
        graph((3, WIDTH), (1, WIDTH)),
        graph((3, WIDTH), ROWS),
        graph(y=("rows", 1)),
        graph(y=(WIDTH,)),
        graph(("rows", "width"), ("rows", "width")),
        graph(("batch", "rows", WIDTH), ("batch", "rows", WIDTH)),
        graph(weights=1),
        graph(width=1),
        graph(norms=2),
        graph(outputs=2),
        graph(axis=0),
        graph(stash_type=10),
        graph(dtype=ir.DataType.FLOAT16),
    ],
    ids=[
        *("one row", "one of three rows", "rows of a number and a name", "one column", "a vector"),
        *("a width that is not known", "three axes", "no shift", "a weight for all"),
        *("two norms", "the mean, too", "over both axes", "not in floats", "halves"),
    ],
)
def test_other_sums_and_norms_stay_in_stock_operators(model: ir.Model) -> None:
    before = operators(model)
    assert not call_layer_norm(model)
    assert operators(model) == before
    assert not model.functions


def test_what_has_no_shape_or_no_sum_or_weights_of_a_node_stays() -> None:
    def without_shape(model: ir.Model) -> None:
        model.graph.inputs[1].shape = None

    def with_unknown_rows(model: ir.Model) -> None:
        for value in model.graph.inputs:
            value.shape = ir.Shape([None, WIDTH])

    def without_sum(model: ir.Model) -> None:
        add, norm = list(model.graph)[:2]
        norm.replace_input_with(0, add.inputs[0])

    def with_product(model: ir.Model) -> None:
        _replace_first(model, "Mul")

    def with_computed_weight(model: ir.Model) -> None:
        add, norm = list(model.graph)[:2]
        doubled = ir.node("Add", [norm.inputs[1], norm.inputs[1]])
        doubled.outputs[0].name, doubled.outputs[0].shape = "doubled", ir.Shape([WIDTH])
        doubled.outputs[0].type = add.outputs[0].type
        model.graph.insert_after(add, doubled)
        norm.replace_input_with(1, doubled.outputs[0])

    changes = (without_shape, with_unknown_rows, without_sum, with_product, with_computed_weight)
    for change in changes:
        model = graph()
        change(model)
        assert not call_layer_norm(model), change.__name__


def _replace_first(model: ir.Model, operator: str) -> None:
    first = next(iter(model.graph))
    inputs: Sequence[ir.Value | None] = first.inputs
    new = ir.node(operator, inputs)
    model.graph.insert_before(first, new)
    ir.convenience.replace_all_uses_with(
        first.outputs[0], new.outputs[0], replace_graph_outputs=True
    )
    model.graph.remove(first)


def test_a_second_time_there_is_nothing_to_call() -> None:
    model = graph()
    call_layer_norm(model)
    assert not call_layer_norm(model)
