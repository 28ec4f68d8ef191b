"""A small module through the exporter's tracer and ONNX Runtime, beside its eager meaning."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import torch
from torch import Tensor, nn

from pegasus_export.graphs.definition import GraphDefinition, GraphInput, Shape
from pegasus_export.stages.trace import trace_graph

__all__ = ["TracedModule"]

Arrays = Sequence[npt.NDArray[np.generic]]


class TracedModule:
    """The ONNX graph of a module; `operators` are its (domain, operator) pairs."""

    def __init__(
        self, module: nn.Module, inputs: Sequence[GraphInput], outputs: Mapping[str, Shape]
    ) -> None:
        definition = GraphDefinition(
            name="small", module=module.eval(), arguments=tuple(inputs), outputs=outputs
        )
        model = trace_graph(definition)
        self.module = module
        self.names = [x.name for x in inputs]
        self.operators = {(node.domain, node.op_type) for node in model.graph}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        data = ir.to_proto(model).SerializeToString()
        self.session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])

    def run(self, *inputs: Tensor) -> Arrays:
        """What ONNX Runtime makes of the inputs."""
        taken = {x.name for x in self.session.get_inputs()}
        feeds = {
            name: x.numpy() for name, x in zip(self.names, inputs, strict=True) if name in taken
        }
        outputs: Arrays = self.session.run(None, feeds)
        return outputs

    @torch.no_grad()
    def run_eagerly(self, *inputs: Tensor) -> Arrays:
        """What torch makes of them."""
        outputs = self.module(*inputs)
        return [x.numpy() for x in (outputs if isinstance(outputs, tuple) else (outputs,))]
