"""What stored integers stand for, read back from where they lie.

Dimensions: N output channels, K input channels.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from pegasus_engines.precision import int4, int8, symmetric
from pegasus_engines.precision.recipe import Layer

__all__ = ["restore_matrix"]

Float32 = npt.NDArray[np.float32]


def restore_matrix(
    layer: Layer, stored: Mapping[str, ir.TensorProtocol], *, columns: int
) -> Float32 | None:
    """[N, K] of a layer that is stored in integers, as all of its products together; else None.

    stored: see `quantize.py` and `PlanConversion`. columns: K.
    """
    if f"{layer.name}.scale" in stored:
        parts = [_restore(layer.name, layer.is_table, stored, columns)]
    else:
        parts = [_restore(module, layer.is_table, stored, columns) for module in layer.modules]
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _restore(
    name: str, is_table: bool, stored: Mapping[str, ir.TensorProtocol], columns: int
) -> Float32 | None:
    if f"{name}.scale" not in stored:
        return None
    scale = stored[f"{name}.scale"].numpy()
    if f"{name}.int4" in stored:
        values = stored[f"{name}.int4"].numpy()
        if f"{name}.zero" not in stored:
            return symmetric.dequantize(symmetric.Symmetric(values=values, scale=scale))
        zero = stored[f"{name}.zero"].numpy().reshape(len(values), -1)
        blocks = int4.Int4Blocks(packed=values, scale=scale.reshape(len(values), -1), zero=zero)
        return int4.dequantize_blocks(blocks, columns=columns)
    values = stored[f"{name}.int8"].numpy()
    if scale.dtype == np.float16:
        return symmetric.dequantize(symmetric.Symmetric(values=values, scale=scale))
    if not is_table or f"{name}.zero" not in stored:  # a table as MatMulInteger takes it
        values = values.T
    return int8.dequantize_rows(int8.Int8Rows(values=values, scale=scale.reshape(-1)))
