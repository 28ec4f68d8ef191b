"""The function that a graph's attention calls, in each dialect, against the attention in torch."""

import dataclasses

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import Tensor

from exporter.tolerances import assert_close
from pegasus_export.dialects.block_sparse import (
    FUNCTION_DOMAIN,
    FUNCTION_NAME,
    SparsePattern,
    attend_any_length,
)
from pegasus_export.dialects.block_sparse_nodes import (
    STANDARD,
    AttentionInputs,
    AttentionNodes,
    Heads,
    attend_block_sparse,
)
from pegasus_export.dialects.nodes import MICROSOFT, Nodes
from pegasus_export.dialects.ort_block_sparse import ORT
from pegasus_export.graphs.definition import SparseAttention
from pegasus_export.passes.define_sparse_attention import define_sparse_attention

HEADS = Heads(count=2, dim=6)
D_MODEL = 12
DIALECTS = pytest.mark.parametrize("dialect", [STANDARD, ORT], ids=["standard", "ort"])


def make_pattern(block_size: int, num_random: int, *, seeded: bool = False) -> SparsePattern:
    return SparsePattern(
        block_size=block_size,
        num_random_blocks=num_random,
        longest_full=(5 + 2 * num_random) * block_size,
        random_blocks=torch.randint(0, 14, (2, 12, num_random)) if seeded else None,
    )


def declare_inputs(pattern: SparsePattern) -> dict[str, ir.Value]:
    hidden = ir.Shape(["batch", "source", D_MODEL])
    values = {
        name: ir.Value(name=name, shape=hidden, type=ir.TensorType(ir.DataType.FLOAT))
        for name in ("query", "key", "value")
    }
    integers = ir.TensorType(ir.DataType.INT64)
    values["attention_mask"] = ir.Value(
        name="attention_mask", shape=ir.Shape(["batch", "source"]), type=integers
    )
    if pattern.random_blocks is not None:
        shape = ir.Shape(pattern.random_blocks.shape)
        values["random_blocks"] = ir.Value(name="random_blocks", shape=shape, type=integers)
    return values


def calling_model(pattern: SparsePattern, dialect: AttentionNodes) -> onnx.ModelProto:
    """A model that is one call of the function."""
    values = declare_inputs(pattern)
    call = ir.node(FUNCTION_NAME, list(values.values()), domain=FUNCTION_DOMAIN, version=1)
    call.outputs[0].name = "attended"
    call.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        list(values.values()), call.outputs, nodes=[call], opset_imports={"": 18}, name="call"
    )
    model = ir.Model(graph, ir_version=10)
    attention = SparseAttention(nodes=dialect, heads=HEADS, pattern=pattern)
    assert define_sparse_attention(model, attention)
    return ir.serde.serialize_model(model)


def random_feeds(pattern: SparsePattern, lengths: list[int]) -> dict[str, Tensor]:
    """Documents of these lengths, padded to the longest."""
    longest = max(lengths)
    names = ("query", "key", "value")
    feeds = {name: torch.randn(len(lengths), longest, D_MODEL) for name in names}
    mask = torch.zeros(len(lengths), longest, dtype=torch.int64)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
    feeds["attention_mask"] = mask
    if pattern.random_blocks is not None:
        feeds["random_blocks"] = pattern.random_blocks
    return feeds


def run(model: onnx.ModelProto, feeds: dict[str, Tensor]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {name: x.numpy() for name, x in feeds.items()})


def check(pattern: SparsePattern, dialect: AttentionNodes, batches: list[list[int]]) -> None:
    model = calling_model(pattern, dialect)
    for lengths in batches:
        feeds = random_feeds(pattern, lengths)
        query, key, value, mask = (feeds[x] for x in list(feeds)[:4])
        expected = attend_any_length(query, key, value, mask, HEADS.count, pattern)
        (got,) = run(model, feeds)
        tokens = mask.numpy().astype(bool)
        assert_close(got[tokens], expected.numpy()[tokens])


@DIALECTS
@pytest.mark.parametrize("seeded", [False, True], ids=["hf-eval", "seeded"])
@pytest.mark.parametrize("num_random", [1, 2, 3])
@pytest.mark.parametrize("block_size", [1, 3, 4])
def test_it_attends_as_torch_does_at_any_length(
    dialect: AttentionNodes, seeded: bool, num_random: int, block_size: int
) -> None:
    pattern = make_pattern(block_size, num_random, seeded=seeded)
    longest_full = pattern.longest_full
    lengths = [1, longest_full - 1, longest_full, longest_full + 1, 13 * block_size]
    unequal = [[longest_full + 2, 1, block_size, longest_full], [longest_full - 1, 2]]
    check(pattern, dialect, [[length] for length in lengths] + unequal)


@DIALECTS
@pytest.mark.parametrize("block_size", [1, 4])
def test_there_may_be_no_random_blocks(dialect: AttentionNodes, block_size: int) -> None:
    pattern = make_pattern(block_size, 0)
    check(pattern, dialect, [[5 * block_size], [6 * block_size, 3], [6 * block_size + 1]])


@DIALECTS
@pytest.mark.parametrize("seeded", [False, True], ids=["hf-eval", "seeded"])
def test_no_tensor_grows_faster_than_the_source(dialect: AttentionNodes, seeded: bool) -> None:
    """Of the block-sparse branch, every value's size at two lengths."""
    pattern = make_pattern(4, 2, seeded=seeded)

    def sizes(length: int) -> list[int]:
        table = pattern.random_blocks
        if table is not None:
            table = table.repeat(1, 20, 1)  # as many rows as the longer source needs
        wide = dataclasses.replace(pattern, random_blocks=table)
        values = declare_inputs(wide)
        nodes = Nodes()
        inputs = AttentionInputs(**({"random_blocks": None} | values))
        attend_block_sparse(nodes, inputs, HEADS, wide, dialect)
        graph = nodes.graph("sparse", list(values.values()), [], 18)
        for number, node in enumerate(graph):
            node.outputs[0].name = f"{node.op_type}.{number}"
        graph.outputs.extend(node.outputs[0] for node in graph)
        model = onnx.shape_inference.infer_shapes(
            ir.serde.serialize_model(ir.Model(graph, ir_version=10))
        )
        return [x.size for x in run(model, random_feeds(wide, [length]))]

    shorter, longer = sizes(400), sizes(800)
    assert max(longer) > 1.9 * max(shorter)
    assert all(after <= 2.1 * before for before, after in zip(shorter, longer, strict=True))


def test_the_standard_dialect_needs_no_operators_of_onnx_runtime() -> None:
    for dialect, expected in ((STANDARD, set()), (ORT, {MICROSOFT})):
        nodes = Nodes()
        values = declare_inputs(make_pattern(4, 2))
        inputs = AttentionInputs(random_blocks=None, **values)
        attend_block_sparse(nodes, inputs, HEADS, make_pattern(4, 2), dialect)
        dialect.attend_full(nodes, inputs, HEADS)
        graph = nodes.graph("both", list(values.values()), [], 18)
        assert {node.domain for node in graph} - {""} == expected


def test_a_graph_that_does_not_call_it_stays_as_it_is() -> None:
    graph = ir.Graph([], [], nodes=[], opset_imports={"": 18}, name="empty")
    model = ir.Model(graph, ir_version=10)
    attention = SparseAttention(nodes=STANDARD, heads=HEADS, pattern=make_pattern(4, 2))
    assert not define_sparse_attention(model, attention)
    assert not model.functions
