"""Graphs of a few nodes, as files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, ValueInfoProto, helper, numpy_helper

SIZE = 16


def write_product(
    path: Path,
    *,
    weights: str | None = None,
    dim: int | str = "source",
    scale: float = 1,
    output: str = "y",
) -> Path:
    """x [batch, dim, SIZE] @ w -> y, with w in a file of the name `weights` if there is one."""
    array = np.linspace(-scale, scale, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)
    shape: list[int | str | None] = ["batch", dim, SIZE]
    model = _model(
        [helper.make_node("MatMul", ["x", "w"], [output], name="product")],
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, shape)],
        {"w": array},
    )
    if weights is None:
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=weights, size_threshold=0)
    return path


def write_foreign_node(path: Path) -> Path:
    """A node that only ONNX Runtime has."""
    node = helper.make_node(
        "SkipLayerNormalization", ["x", "x", "w"], ["y"], name="skip", domain="com.microsoft"
    )
    tensor = onnx.TensorProto.FLOAT
    model = _model(
        [node],
        [helper.make_tensor_value_info("x", tensor, ["batch", 2, SIZE])],
        [helper.make_tensor_value_info("y", tensor, ["batch", 2, SIZE])],
        {"w": np.ones(SIZE, np.float32)},
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, path)
    return path


def write_reshape_by_input(path: Path) -> Path:
    """x is reshaped to the sizes that another input gives."""
    model = _model(
        [helper.make_node("Reshape", ["x", "sizes"], ["y"], name="reshape")],
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", SIZE]),
            helper.make_tensor_value_info("sizes", onnx.TensorProto.INT64, [2]),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["a", "b"])],
        {},
    )
    onnx.save(model, path)
    return path


def write_wrong_product(path: Path) -> Path:
    """A product of matrices that do not fit; behind it, a sum."""
    tensor = onnx.TensorProto.FLOAT
    model = _model(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"], name="misfit"),
            helper.make_node("Add", ["h", "h"], ["y"], name="sum"),
        ],
        [helper.make_tensor_value_info("x", tensor, ["batch", SIZE])],
        [helper.make_tensor_value_info("y", tensor, ["batch", SIZE])],
        {"w": np.ones((SIZE + 1, SIZE), np.float32)},
    )
    onnx.save(model, path)
    return path


def _model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: dict[str, np.ndarray],
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in initializers.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
