"""Weights that become what was stored of them."""

import onnx_ir as ir

from engines.precision.table_graphs import graph_with
from pegasus_engines.precision.passes.take_stored import take_stored

TABLE = "model.shared.weight"


def stored(name: str) -> dict[str, ir.ExternalTensor]:
    half, shape = ir.DataType.FLOAT16, ir.Shape((16, 4))
    return {name: ir.ExternalTensor("weights.bin", 0, 128, half, shape=shape, name=name)}


def test_type_and_shape_are_those_of_the_file() -> None:
    model = graph_with(TABLE, is_head=False)
    tensors = stored(TABLE)
    assert take_stored(model, tensors)
    value = model.graph.initializers[TABLE]
    assert value.const_value is tensors[TABLE]
    assert (value.dtype, list(value.shape or ())) == (ir.DataType.FLOAT16, [16, 4])


def test_what_was_not_stored_stays() -> None:
    model = graph_with(TABLE, is_head=False)
    assert not take_stored(model, stored("lm_head.weight"))
    assert model.graph.initializers[TABLE].dtype == ir.DataType.FLOAT
