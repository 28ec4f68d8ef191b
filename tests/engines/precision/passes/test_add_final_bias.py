"""The bias of the head, over a padded vocabulary."""

import onnx_ir as ir

from engines.precision.table_graphs import graph_with
from pegasus_engines.network import FINAL_BIAS
from pegasus_engines.precision.passes.add_final_bias import add_final_bias


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
    model = graph_with("model.shared.weight", is_head=False)
    assert not add_final_bias(model, bias_tensor())
    assert FINAL_BIAS not in model.graph.initializers
