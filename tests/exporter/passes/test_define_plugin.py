"""The body that other engines run in the plugin's place, against the plugin's specification."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch

from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_export.dialects.block_sparse_nodes import Heads
from pegasus_export.dialects.trt_block_sparse import TRT
from pegasus_export.dialects.trt_plugin import attention_spec
from pegasus_export.graphs.definition import SparseAttention
from pegasus_export.passes.define_plugin import define_plugin
from pegasus_plugins import reference

HEADS = Heads(count=2, dim=8)
BLOCK_SIZE = 16
LENGTHS = (1, 47, 48, 49, 64, 65, 100, 128)  # in full up to 48
TOLERANCES = {"float32": 1e-5, "float16": 2e-3}


def make_pattern(num_random: int, *, seeded: bool = False) -> SparsePattern:
    table = torch.randint(0, 9, (HEADS.count, 8, num_random)) if seeded else None
    return SparsePattern(
        block_size=BLOCK_SIZE,
        num_random_blocks=num_random,
        longest_full=3 * BLOCK_SIZE,
        random_blocks=table,
    )


def calling_model(pattern: SparsePattern, dtype: ir.DataType) -> onnx.ModelProto:
    """A model that is one node."""
    shape = ir.Shape(["batch", HEADS.count, "source", HEADS.dim])
    values = [
        ir.Value(name=name, shape=shape, type=ir.TensorType(dtype))
        for name in ("query", "key", "value")
    ]
    integers = ir.TensorType(ir.DataType.INT32)
    mask_shape = ir.Shape(["batch", "source"])
    values.append(ir.Value(name="key_mask", shape=mask_shape, type=integers))
    if pattern.random_blocks is not None:
        values.append(ir.Value(name="plan", shape=ir.Shape(["rows", "r"]), type=integers))
    call = ir.node(
        "BlockSparseAttention", values, {"block_size": BLOCK_SIZE}, domain="pegasus", version=1
    )
    call.outputs[0].name, call.outputs[0].type = "attended", ir.TensorType(dtype)
    graph = ir.Graph(values, call.outputs, nodes=[call], opset_imports={"": 18}, name="call")
    model = ir.Model(graph, ir_version=10)
    assert define_plugin(model, SparseAttention(nodes=TRT, heads=HEADS, pattern=pattern))
    return ir.serde.serialize_model(model)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("num_random", "seeded"), [(0, False), (3, False), (2, True)])
def test_the_body_computes_what_is_specified(num_random: int, seeded: bool, dtype: str) -> None:
    pattern = make_pattern(num_random, seeded=seeded)
    spec = attention_spec(HEADS.count, HEADS.dim, pattern)
    model = calling_model(pattern, getattr(ir.DataType, dtype.replace("float32", "float").upper()))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    for length in LENGTHS:
        shape = (2, HEADS.count, length, HEADS.dim)
        feeds = {
            name: rng.standard_normal(shape).astype(dtype) for name in ("query", "key", "value")
        }
        mask = np.ones((2, length), np.int32)
        mask[1, (length + 1) // 2 :] = 0
        plan = None
        if pattern.random_blocks is not None:
            plan = pattern.random_blocks.numpy().reshape(-1, num_random).astype(np.int32)
        (got,) = session.run(
            None, {**feeds, "key_mask": mask, **({} if plan is None else {"plan": plan})}
        )
        assert got.dtype == dtype
        expected = reference.attend(spec, **feeds, key_mask=mask, plan=plan)
        assert np.abs(got - expected).max() <= TOLERANCES[dtype], length


def test_a_model_without_the_node_is_left_alone() -> None:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 18}, name="empty")
    model = ir.Model(graph, ir_version=10)
    attention = SparseAttention(nodes=TRT, heads=HEADS, pattern=make_pattern(1))
    assert not define_plugin(model, attention)
    assert not model.functions
