"""The padded vocabulary, and the table that graphs share as an input."""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import pytest

from pegasus_engines.network import FINAL_BIAS
from pegasus_engines.vocabulary import (
    add_final_bias,
    pad_rows,
    padded_weights,
    share_tables,
)

FLOAT = ir.TensorType(ir.DataType.FLOAT)
TABLE = "model.shared.weight"


def network(**more: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        TABLE: rng.standard_normal((13, 4), np.float32),
        "model.encoder.embed_positions.weight": np.ones((20, 4), np.float32),
        "model.encoder.layers.0.fc1.weight": np.ones((8, 4), np.float32),
        **more,
    }


def test_tables_are_padded_with_zeros_to_a_multiple_of_eight() -> None:
    weights = network()
    padded = dict(padded_weights(weights, block_size=None))
    assert padded[TABLE].shape == (16, 4)
    np.testing.assert_array_equal(padded[TABLE][:13], weights[TABLE])
    assert not padded[TABLE][13:].any()
    assert padded["model.encoder.layers.0.fc1.weight"].shape == (8, 4)
    assert padded["model.encoder.embed_positions.weight"].shape == (20, 4)


def test_tokens_that_there_are_not_have_no_probability() -> None:
    bias = np.arange(13, dtype=np.float32)[None]
    for given, expected in (({}, np.zeros(13)), ({FINAL_BIAS: bias}, np.arange(13))):
        padded = dict(padded_weights(network(**given), block_size=None))
        np.testing.assert_array_equal(padded[FINAL_BIAS][:13], expected)
        assert (padded[FINAL_BIAS][13:] == np.finfo(np.float32).min).all()


@pytest.mark.parametrize(("block_size", "rows"), [(8, 24), (16, 48), (32, 96), (4, 20)])
def test_positions_of_a_sparse_encoder_are_whole_blocks_three_or_more(
    block_size: int, rows: int
) -> None:
    padded = dict(padded_weights(network(), block_size=block_size))
    assert len(padded["model.encoder.embed_positions.weight"]) == rows


def test_a_matrix_that_is_long_enough_is_the_same_object() -> None:
    matrix = np.ones((8, 2), np.float32)
    assert pad_rows(matrix, 8) is matrix


def graph_with(table: str, *, is_head: bool) -> ir.Model:
    """A graph that looks rows up in a table, or multiplies by it."""
    hidden = ir.Value(name="hidden", type=FLOAT, shape=ir.Shape(("rows", 4)))
    weight = ir.Value(
        name=table,
        type=FLOAT,
        shape=ir.Shape((13, 4)),
        const_value=ir.tensor(np.ones((13, 4), np.float32), name=table),
    )
    if is_head:
        node = ir.node("Gemm", [hidden, weight], {"transB": 1})
        node.outputs[0].shape = ir.Shape(("rows", 13))
    else:
        ids = ir.Value(name="ids", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(("rows",)))
        node = ir.node("Gather", [weight, ids])
        hidden = ids
    node.outputs[0].type = FLOAT
    graph = ir.Graph(
        [hidden],
        [node.outputs[0]],
        nodes=[node],
        initializers=[weight],
        opset_imports={"": 18},
        name="graph",
    )
    return ir.Model(graph, ir_version=9)


def bias_tensor() -> ir.ExternalTensor:
    return ir.ExternalTensor(
        "weights.bin", 0, 64, ir.DataType.FLOAT, shape=ir.Shape((16,)), name=FINAL_BIAS
    )


def test_the_head_adds_the_bias_and_gives_padded_scores() -> None:
    model = graph_with("lm_head.weight", is_head=True)
    assert add_final_bias(model, bias_tensor())
    (head,) = list(model.graph)
    assert head.inputs[2] is model.graph.initializers[FINAL_BIAS]
    assert list(model.graph.outputs[0].shape) == ["rows", 16]


def test_a_graph_without_a_head_gets_no_bias() -> None:
    model = graph_with(TABLE, is_head=False)
    assert not add_final_bias(model, bias_tensor())
    assert FINAL_BIAS not in model.graph.initializers


def test_a_table_of_two_graphs_becomes_an_input_of_both() -> None:
    models = {
        "encoder": graph_with(TABLE, is_head=False),
        "decoder": graph_with(TABLE, is_head=True),
    }
    assert share_tables(models) == {TABLE: ["encoder", "decoder"]}
    for model in models.values():
        assert TABLE not in model.graph.initializers
        assert model.graph.inputs[-1].name == TABLE


def test_a_table_of_one_graph_stays_in_it() -> None:
    models: Mapping[str, ir.Model] = {"decoder": graph_with("lm_head.weight", is_head=True)}
    assert share_tables(models) == {}
    assert "lm_head.weight" in models["decoder"].graph.initializers
