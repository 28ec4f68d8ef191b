"""A graph whose residual stream is shifted computes the same, bit by bit."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from engines.precision.products import run
from engines.precision.stream_graphs import WEIGHTS, stream_model
from pegasus_engines.precision.passes.shift_residual import shift_residual
from pegasus_engines.precision.residual_shift import NO_SHIFT, ResidualShift

FEEDS = {"ids": np.array([3, 10, 0, 7]), "places": np.arange(4)}
FOUR = ResidualShift(bits=4)


def scale_weights(model: ir.Model, shift: ResidualShift) -> None:
    for name, value in model.graph.initializers.items():
        if name in WEIGHTS:
            value.const_value = ir.tensor(shift.scale_weight(name, WEIGHTS[name]), name=name)


@pytest.mark.parametrize("factor", [None, 3.0, 16.0])
@pytest.mark.parametrize("shift", [ResidualShift(bits=1), FOUR, ResidualShift(bits=15)])
def test_the_function_is_the_same(
    factor: float | None, shift: ResidualShift, tmp_path: Path
) -> None:
    expected = run(stream_model(factor), tmp_path, FEEDS)
    model = stream_model(factor)
    assert shift_residual(model, shift)
    assert not np.array_equal(run(model, tmp_path, FEEDS)[0], expected[0])  # the weights are not
    scale_weights(model, shift)
    for got, exact in zip(run(model, tmp_path, FEEDS), expected, strict=True):
        np.testing.assert_array_equal(got, exact)


def test_every_epsilon_is_scaled_twice() -> None:
    model = stream_model()
    shift_residual(model, FOUR)
    norms = [node for node in model.graph if node.op_type == "LayerNormalization"]
    assert [node.attributes["epsilon"].as_float() for node in norms] == [1e-5 / 256] * 2


def test_an_epsilon_that_is_not_written_down_is_onnxs() -> None:
    model = stream_model()
    norm = next(node for node in model.graph if node.op_type == "LayerNormalization")
    del norm.attributes["epsilon"]
    shift_residual(model, FOUR)
    assert norm.attributes["epsilon"].as_float() == 1e-5 / 256


@pytest.mark.parametrize(("factor", "products"), [(None, 1), (3.0, 1), (16.0, 0)])
def test_a_factor_is_put_in_changed_or_left_out_where_it_is_1(
    factor: float | None, products: int
) -> None:
    model = stream_model(factor)
    shift_residual(model, FOUR)
    assert Counter(node.op_type for node in model.graph)["Mul"] == products
    scalars = [x.const_value for x in model.graph.initializers.values() if not x.shape]
    factors = [tensor.numpy() for tensor in scalars if tensor is not None]
    assert factors == ([(factor or 1.0) / 16] if products else [])


def test_a_scalar_that_others_read_is_left_to_them() -> None:
    model = stream_model()
    scalar = model.graph.initializers["scalar"]
    other = ir.node("Neg", [scalar], name="other")
    model.graph.append(other)
    shift_residual(model, FOUR)
    assert other.inputs[0] is scalar
    assert scalar.const_value is not None
    assert scalar.const_value.numpy() == 3


def test_no_shift_and_no_stream_change_nothing() -> None:
    model = stream_model()
    before = ir.to_proto(model).SerializeToString()
    assert not shift_residual(model, NO_SHIFT)
    assert ir.to_proto(model).SerializeToString() == before
    empty = ir.Model(ir.Graph([], [], nodes=[], opset_imports={"": 18}), ir_version=9)
    assert not shift_residual(empty, FOUR)
