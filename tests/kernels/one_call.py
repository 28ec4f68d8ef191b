"""Graphs of one call of an operator, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx_ir as ir
import onnxruntime

from pegasus_engines.precision.passes.kernel_functions import DOMAIN, VERSION, add_function, call

Array = npt.NDArray[Any]


def open_call(
    operator: str,
    inputs: Mapping[str, Array],
    attributes: Mapping[str, float],
    *,
    constants: tuple[str, ...] = (),
    library: Path | None = None,
    is_function: bool = True,
) -> onnxruntime.InferenceSession:
    """constants: inputs that are initializers. library: whose operators run; else, or where it has
    none of the name, what the function says. is_function: whether there is one."""
    values = {name: value_of(name, array, name in constants) for name, array in inputs.items()}
    outputs = {"BeamAttention": 3, "AddLayerNormalization": 2, "LogSoftmaxTopK": 3}.get(operator, 1)
    node = call(operator, list(values.values()), attributes, num_outputs=outputs)
    for place, output in enumerate(node.outputs):
        is_whole = operator == "LogSoftmaxTopK" and place == 2
        dtype = ir.DataType.INT64 if is_whole else ir.DataType.FLOAT
        output.name, output.type = f"output.{place}", ir.TensorType(dtype)
    graph = ir.Graph(
        [value for name, value in values.items() if name not in constants],
        list(node.outputs),
        nodes=[node],
        initializers=[values[name] for name in constants],
        opset_imports={"": 18, DOMAIN: VERSION},
        name=operator,
    )
    model = ir.Model(graph, ir_version=10)
    if is_function:
        add_function(model, node)
    return open_model(model, library)


def open_model(model: ir.Model, library: Path | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    if library is not None:
        options.register_custom_ops_library(str(library))
    content = ir.to_proto(model).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def value_of(name: str, array: Array, is_constant: bool = False) -> ir.Value:
    tensor = ir.tensor(array, name=name)
    return ir.Value(
        name=name,
        shape=tensor.shape if is_constant else ir.Shape([None] * array.ndim),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor if is_constant else None,
    )
