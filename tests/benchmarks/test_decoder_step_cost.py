"""Bytes and multiply-adds of a decoder step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from decoder_step_cost import MatmulKernel, WeightUse, cost_of_rows, read_weight_use

FLOAT = MatmulKernel(op_type="MatMul", weight_type="FLOAT")


def write_graph(
    path: Path, nodes: list[onnx.NodeProto], weights: Mapping[str, npt.NDArray[Any]]
) -> Path:
    graph = helper.make_graph(
        nodes,
        "step",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph), str(path))
    return path


def test_a_table_whose_rows_are_gathered_is_not_read(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["y"]),
    ]
    weights = {"table": np.zeros((1000, 8), np.float32), "w": np.zeros((8, 5), np.float32)}
    use = read_weight_use(write_graph(tmp_path / "step.onnx", nodes, weights))
    assert use == WeightUse(read_bytes=8 * 5 * 4, multiply_adds_per_row={FLOAT: 40})


def test_a_table_that_is_the_head_too_is_read_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Gemm", ["rows", "table"], ["y"], transB=1),
    ]
    table = np.zeros((1000, 8), np.float32)
    use = read_weight_use(write_graph(tmp_path / "step.onnx", nodes, {"table": table}))
    kernel = MatmulKernel(op_type="Gemm", weight_type="FLOAT")
    assert use == WeightUse(read_bytes=32000, multiply_adds_per_row={kernel: 8000})


def test_two_names_of_the_same_bytes_of_a_file_count_once(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", name], [f"y_{name}"]) for name in ("a", "b")]
    path = write_graph(tmp_path / "step.onnx", nodes, {})
    model = onnx.load(str(path))
    for name in ("a", "b"):
        tensor = model.graph.initializer.add(name=name, dims=[8, 5], data_type=1)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", "w.bin"), ("offset", "64"), ("length", "160")):
            tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    assert read_weight_use(path) == WeightUse(read_bytes=160, multiply_adds_per_row={FLOAT: 80})


def test_weights_of_4_bits_count_as_stored_and_multiply_in_full(tmp_path: Path) -> None:
    attributes: dict[str, Any] = {
        "K": 64,
        "N": 16,
        "bits": 4,
        "block_size": 32,
        "accuracy_level": 4,
    }
    node = helper.make_node(
        "MatMulNBits", ["x", "w", "scale"], ["y"], domain="com.microsoft", **attributes
    )
    weights: dict[str, npt.NDArray[Any]] = {
        "w": np.zeros((16, 2, 16), np.uint8),
        "scale": np.zeros(32, np.float32),
    }
    use = read_weight_use(write_graph(tmp_path / "step.onnx", [node], weights))
    kernel = MatmulKernel(
        op_type="MatMulNBits", weight_type="UINT8", bits=4, block_size=32, accuracy_level=4
    )
    assert use == WeightUse(read_bytes=512 + 128, multiply_adds_per_row={kernel: 1024})


def test_weights_in_an_unknown_operator_are_an_error(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    path = write_graph(tmp_path / "step.onnx", [node], {"w": np.zeros((8, 5), np.float32)})
    with pytest.raises(ValueError, match="of 160 bytes of weights, 0 are in products of known"):
        read_weight_use(path)


def test_sources_are_read_per_document_and_targets_per_beam() -> None:
    use = WeightUse(read_bytes=1000, multiply_adds_per_row={FLOAT: 50})
    cost = cost_of_rows(
        use, cache_width=10, batch=2, beams=4, source_tokens=100, target_tokens=30.5
    )
    assert cost.weight_bytes == 1000
    assert cost.cross_cache_bytes == 2 * 2 * 100 * 10 * 4
    assert cost.self_cache_bytes == 2 * 8 * 30.5 * 10 * 4
    assert cost.weight_multiply_adds == {FLOAT: 8 * 50}
    assert cost.attention_multiply_adds == 2 * 8 * 130.5 * 10
    assert cost.total_bytes == 1000 + 16000 + 19520
    assert cost.total_multiply_adds == 400 + 20880
