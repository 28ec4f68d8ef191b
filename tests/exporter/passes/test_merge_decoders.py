"""Two graphs in the branches of an If, run by ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from pegasus_export.passes.merge_decoders import merge_decoders

FLOAT = ir.TensorType(ir.DataType.FLOAT)
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def _value(name: str, *shape: int | str) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=FLOAT)


def _weight(folder: Path) -> ir.Value:
    (folder / "weights").write_bytes(WEIGHT.tobytes())
    tensor = ir.ExternalTensor(
        "weights", 0, WEIGHT.nbytes, ir.DataType.FLOAT, shape=ir.Shape([2, 3]), name="weight",
        base_dir=folder,
    )  # fmt: skip
    return ir.Value(name="weight", shape=ir.Shape([2, 3]), type=FLOAT, const_value=tensor)


def _models(folder: Path) -> tuple[ir.Model, ir.Model]:
    """x @ weight + step and twice as much; the second: x @ weight + past. A constant of the same
    name differs."""
    models = []
    for steps, inputs in ((1.0, ["x"]), (2.0, ["x", "past"])):
        values = [_value(name, "batch", 2 if name == "x" else 3) for name in inputs]
        weight = _weight(folder)
        step = ir.Value(
            name="step", shape=ir.Shape([]), type=FLOAT, const_value=ir.tensor(steps, name="step")
        )
        product = ir.node("MatMul", [values[0], weight])
        moved = ir.node("Add", [product.outputs[0], values[1] if len(values) > 1 else step])
        scaled = ir.node("Mul", [moved.outputs[0], step])
        nodes = [product, moved, scaled]
        outputs = [scaled.outputs[0], *([moved.outputs[0]] if steps == 1 else [])]
        for output, name in zip(outputs, ("logits", "source"), strict=False):
            output.name, output.type, output.shape = name, FLOAT, ir.Shape(["batch", 3])
        graph = ir.Graph(
            values, outputs, nodes=nodes, initializers=[weight, step], opset_imports={"": 18},
            name="graph",
        )  # fmt: skip
        models.append(ir.Model(graph, ir_version=10, metadata_props={"of": "us"}))
    return models[0], models[1]


def test_each_branch_computes_what_its_graph_did(tmp_path: Path) -> None:
    first, later = _models(tmp_path)
    merged = merge_decoders(first, later)
    ir.save(merged, tmp_path / "merged.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "merged.onnx")
    assert [each.name for each in session.get_inputs()] == ["x", "past", "use_cache_branch"]
    x, past = np.ones((1, 2), np.float32), np.full((1, 3), 5, np.float32)
    product = x @ WEIGHT
    feeds = {"x": x, "past": past, "use_cache_branch": np.array([False])}
    logits, source = session.run(["logits", "source"], feeds)
    np.testing.assert_array_equal(logits, product + 1)
    np.testing.assert_array_equal(source, product + 1)
    feeds["use_cache_branch"] = np.array([True])
    logits, source = session.run(["logits", "source"], feeds)
    np.testing.assert_array_equal(logits, 2 * (product + past))
    assert source.shape == (0, 3)


def test_weights_of_the_file_are_there_once_and_the_graphs_stay_as_they_are(tmp_path: Path) -> None:
    models = _models(tmp_path)
    before = [ir.serde.serialize_model(model) for model in models]
    merged = merge_decoders(*models)
    assert list(merged.graph.initializers) == ["weight"]
    for attribute in merged.graph[0].attributes.values():
        assert list(attribute.as_graph().initializers) == ["step"]
    assert [ir.serde.serialize_model(model) for model in models] == before
    assert merged.metadata_props == {"of": "us"}


@pytest.mark.parametrize("name", ["no_past", "with_past"])
def test_branches_have_no_inputs_of_their_own(tmp_path: Path, name: str) -> None:
    merged = merge_decoders(*_models(tmp_path))
    branches = [each.as_graph() for each in merged.graph[0].attributes.values()]
    assert [not graph.inputs for graph in branches if graph.name == name] == [True]
