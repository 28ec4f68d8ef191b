"""Products with int8 weights, and lookups in an int8 table, in ONNX's own operators.

    (rounded rows)          uint8, as in `round_rows.py`
    MatMulInteger           by int8 weights [K, N], exact in integers
    Cast, Mul, Mul          by the scale of each output channel, and of each row

MatMulInteger takes no transposed matrix, so a table that embeds and is the head, too, lies as the
head reads it: [D, V]. Looking up is a Gather of its columns, and a Transpose of what was found.

Dimensions: M rows, K input channels, N output channels, V vocabulary, D model dim.
"""

import onnx_ir as ir

from pegasus_engines.precision.passes.round_rows import RoundedRows

__all__ = ["stock_lookup", "stock_product"]


def stock_product(rounded: RoundedRows, matrix: ir.Value, scale: ir.Value) -> list[ir.Node]:
    """rows [M, K], matrix [K, N] int8, scale [N] -> nodes, the last one's output [M, N]."""
    product = ir.node("MatMulInteger", [rounded.values, matrix, rounded.zero])
    floats = ir.node("Cast", product.outputs, {"to": ir.DataType.FLOAT})
    scaled = ir.node("Mul", [floats.outputs[0], scale])
    step = ir.node("Mul", [rounded.largest, rounded.step])  # [M, 1]
    return [product, floats, scaled, step, ir.node("Mul", [scaled.outputs[0], step.outputs[0]])]


def stock_lookup(table: ir.Value, scale: ir.Value, ids: ir.Value) -> list[ir.Node]:
    """table [D, V] int8, scale [V, 1], ids [...] -> nodes, the last one's output [..., D]."""
    assert ids.shape is not None
    rank = len(ids.shape)
    columns = ir.node("Gather", [table, ids], {"axis": 1})
    rows = ir.node("Transpose", columns.outputs, {"perm": [*range(1, rank + 1), 0]})
    floats = ir.node("Cast", rows.outputs, {"to": ir.DataType.FLOAT})
    scales = ir.node("Gather", [scale, ids], {"axis": 0})
    product = ir.node("Mul", [floats.outputs[0], scales.outputs[0]])
    return [columns, rows, floats, scales, product]
