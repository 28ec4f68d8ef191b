"""ONNX nodes written one by one, where a graph is no trace of torch."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnx_ir.tape import Tape

__all__ = ["MICROSOFT", "Nodes", "Operand", "name_values"]

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

Operand = ir.Value | npt.NDArray[np.generic] | Sequence[int] | Sequence[float] | int | float
"""A value, or a constant: integers are int64, and floats float32."""


class Nodes:
    """A list of nodes that grows by calls: `nodes("Slice", x, [1], [-1], [2])`."""

    def __init__(self) -> None:
        self._tape = Tape()

    def __call__(
        self,
        operator: str,
        *operands: Operand | None,
        domain: str = "",
        **attributes: int | float | str | Sequence[int] | ir.Graph,
    ) -> ir.Value:
        """Appends a node with one output, and returns that; None is an input that is left out."""
        inputs = [self._value(operand) for operand in operands]
        return self._tape.op(operator, inputs, attributes, domain=domain)

    def several(
        self,
        operator: str,
        *operands: Operand | None,
        count: int,
        **attributes: int | float | str | Sequence[int] | ir.Graph,
    ) -> Sequence[ir.Value]:
        """Appends a node with so many outputs."""
        inputs = [self._value(operand) for operand in operands]
        return self._tape.op_multi_out(operator, inputs, attributes, num_outputs=count)

    @property
    def nodes(self) -> Sequence[ir.Node]:
        """All of them, in order."""
        return self._tape.nodes

    def graph(
        self, name: str, inputs: Sequence[ir.Value], outputs: Sequence[ir.Value], opset: int
    ) -> ir.Graph:
        """The nodes as a graph; inputs of outer graphs are not listed."""
        opsets = {"": opset, MICROSOFT: 1}
        return ir.Graph(inputs, outputs, nodes=self._tape.nodes, opset_imports=opsets, name=name)

    def _value(self, operand: Operand | None) -> ir.Value | None:
        if operand is None or isinstance(operand, ir.Value):
            return operand
        array = np.asarray(operand)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return self._tape.op("Constant", [], {"value": ir.tensor(array)})


def name_values(graph: ir.Graph, prefix: str = "") -> None:
    """Gives every value a name of its own: those of a branch share a scope with the outer ones."""
    for number, node in enumerate(graph):
        for place, value in enumerate(node.outputs):
            which = f".{place}" if place else ""
            value.name = f"{prefix}{node.op_type}.{number}{which}"
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                branch = attribute.as_graph()
                name_values(branch, f"{prefix}{branch.name}.")
