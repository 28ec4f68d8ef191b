"""fp16 emulated on the CPU: rounded as a GPU rounds, and infinite where it would be."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from pegasus_engines.precision.passes.emulate_half import emulate_half

HALF = ir.TensorType(ir.DataType.FLOAT16)


def half_model() -> ir.Model:
    """y = (x w) v, all in fp16; both products and their transposes are outputs."""
    x = ir.Value(name="x", type=HALF, shape=ir.Shape(("rows", 2)))
    weights = {
        name: ir.Value(
            name=name,
            type=HALF,
            shape=ir.Shape((2, 2)),
            const_value=ir.tensor(np.full((2, 2), number, np.float16), name=name),
        )
        for name, number in (("w", 300), ("v", 1 / 300))
    }
    first = ir.node("MatMul", [x, weights["w"]])
    second = ir.node("MatMul", [first.outputs[0], weights["v"]])
    moved = ir.node("Transpose", [second.outputs[0]])
    for node, name in ((first, "a"), (second, "b"), (moved, "c")):
        node.outputs[0].name, node.outputs[0].type = name, HALF
    graph = ir.Graph(
        [x],
        [second.outputs[0], moved.outputs[0]],
        nodes=[first, second, moved],
        initializers=list(weights.values()),
        opset_imports={"": 18},
        name="half",
    )
    return ir.Model(graph, ir_version=9)


def run(model: ir.Model, x: np.ndarray, folder: Path) -> list[np.ndarray]:
    ir.save(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    assert [output.name for output in session.get_outputs()] == ["b", "c"]
    assert {value.type for value in (*session.get_inputs(), *session.get_outputs())} == {
        "tensor(float16)"
    }
    return session.run(None, {"x": x.astype(np.float16)})


def test_every_value_is_rounded_as_numpy_rounds(tmp_path: Path) -> None:
    model = half_model()
    assert emulate_half(model)
    x = np.random.default_rng(0).standard_normal((8, 2)).astype(np.float16)
    w, v = np.float32(300), np.float32(np.float16(1 / 300))
    a = (x.astype(np.float32).sum(1, keepdims=True) * w).astype(np.float16)
    b = (a.astype(np.float32) * 2 * v).astype(np.float16)
    got, moved = run(model, x, tmp_path)
    np.testing.assert_array_equal(got, np.repeat(b, 2, axis=1))
    np.testing.assert_array_equal(moved, got.T)


def test_what_overflows_is_infinite_though_a_later_factor_would_save_it(tmp_path: Path) -> None:
    plain, emulated = half_model(), half_model()
    emulate_half(emulated)
    x = np.full((1, 2), 200, np.float16)  # 200 * 300 * 2 = 120000
    assert np.isfinite(run(plain, x, tmp_path)[0]).all()  # as ONNX Runtime computes in fp32
    assert np.isinf(run(emulated, x, tmp_path)[0]).all()


def test_a_graph_without_halves_is_left_alone() -> None:
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape((2,)))
    node = ir.node("Neg", [x])
    node.outputs[0].type = x.type
    graph = ir.Graph([x], [node.outputs[0]], nodes=[node], opset_imports={"": 18}, name="single")
    assert not emulate_half(ir.Model(graph, ir_version=9))


@pytest.mark.parametrize("to", [ir.DataType.FLOAT16, ir.DataType.FLOAT])
def test_casts_keep_what_they_cast_to(to: ir.DataType, tmp_path: Path) -> None:
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape((3,)))
    cast = ir.node("Cast", [x], {"to": ir.DataType.FLOAT16})
    cast.outputs[0].type, cast.outputs[0].name = HALF, "half"
    again = ir.node("Cast", [cast.outputs[0]], {"to": to})
    again.outputs[0].type, again.outputs[0].name = ir.TensorType(to), "out"
    graph = ir.Graph(
        [x], [again.outputs[0]], nodes=[cast, again], opset_imports={"": 18}, name="casts"
    )
    model = ir.Model(graph, ir_version=9)
    assert emulate_half(model)
    ir.save(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (got,) = session.run(None, {"x": np.array([1, 2049, 100000])})
    np.testing.assert_array_equal(got.astype(np.float64), [1, 2048, np.inf])
