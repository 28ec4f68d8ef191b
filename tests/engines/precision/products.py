"""Small graphs with one product, in ONNX Runtime, for tests of what products compute."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime

Float32 = npt.NDArray[np.float32]


def initializer(name: str, array: npt.NDArray[Any]) -> ir.Value:
    tensor = ir.Tensor(array, name=name)
    return ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )


def graph_input(name: str, dtype: ir.DataType, shape: tuple[int | str, ...]) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))


def model_of(
    inputs: list[ir.Value],
    outputs: list[ir.Value],
    nodes: list[ir.Node],
    initializers: list[ir.Value],
) -> ir.Model:
    for output in outputs:
        output.dtype = ir.DataType.FLOAT
    graph = ir.Graph(
        inputs,
        outputs,
        nodes=nodes,
        initializers=initializers,
        opset_imports={"": 18, "com.microsoft": 1},
        name="product",
    )
    return ir.Model(graph, ir_version=10)


def run(model: ir.Model, folder: Path, feeds: dict[str, npt.NDArray[Any]]) -> list[Float32]:
    """External tensors of the model lie in the same folder."""
    path = folder / "model.onnx"
    ir.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    results: list[Float32] = session.run(None, feeds)
    return results
