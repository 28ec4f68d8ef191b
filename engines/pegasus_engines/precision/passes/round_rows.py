"""What a product reads in 8 bits, with a scale for each row, in operators of ONNX Runtime.

    Abs, ReduceMax       the largest magnitude of each row
    Div, QuantizeLinear  the row relative to it, in steps that are the same for all rows
    (the product)        MatMulIntegerToFloat or QGemm, exact in integers
    Mul                  by the row's largest magnitude

A row's result therefore depends on no other row, and an outlier spoils none. Behind a ReLU there is
no sign, and steps are half as wide. A row of zeros is divided by zero; what that comes to is
multiplied by zero.

Dimensions: M rows, K input channels.
"""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from pegasus_engines.precision.passes.register_tensor import register_tensor

__all__ = ["RoundedRows", "RowRounding"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoundedRows:
    """values[m, k] stands for (values[m, k] - zero) * step * largest[m]."""

    values: ir.Value
    """[M, K] uint8."""
    step: ir.Value
    """[] float32."""
    zero: ir.Value
    """[] uint8."""
    largest: ir.Value
    """[M, 1] float32: of each row."""


class RowRounding:
    """Of one graph; what several products read is rounded once."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._rounded: dict[ir.Value, RoundedRows] = {}

    def round(self, value: ir.Value) -> RoundedRows:
        """value [M, K] float32; the operators come right behind what computes it."""
        if value not in self._rounded:
            self._rounded[value] = self._round(value)
        return self._rounded[value]

    def _round(self, value: ir.Value) -> RoundedRows:
        producer = value.producer()
        is_positive = producer is not None and producer.op_type == "Relu"
        zero, steps = (0, 255) if is_positive else (128, 127)
        step = self._constant(f"row_step.{steps}", np.float32(1 / steps))
        middle = self._constant(f"row_zero.{zero}", np.uint8(zero))
        magnitude = [] if is_positive else [ir.node("Abs", [value])]
        size = magnitude[0].outputs[0] if magnitude else value
        axis = self._constant("row_axis", np.array([-1], dtype=np.int64))
        largest = ir.node("ReduceMax", [size, axis], {"keepdims": 1})
        relative = ir.node("Div", [value, largest.outputs[0]])
        rounded = ir.node("QuantizeLinear", [relative.outputs[0], step, middle])
        nodes = [*magnitude, largest, relative, rounded]
        if producer is None:
            self._graph.insert_before(self._graph[0], nodes)
        else:
            self._graph.insert_after(producer, nodes)
        return RoundedRows(
            values=rounded.outputs[0], step=step, zero=middle, largest=largest.outputs[0]
        )

    def _constant(
        self, name: str, array: np.generic | np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> ir.Value:
        known = self._graph.initializers.get(name)
        return known or register_tensor(self._graph, ir.tensor(array, name=name))
