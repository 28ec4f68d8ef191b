"""What ends a decoder's step becomes one call, whose outputs are called as before."""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from engines.precision.products import graph_input, model_of
from pegasus_engines.precision.passes.call_top_k import call_top_k

VOCABULARY = 7
NAMES = ("log_probs", "top_scores", "top_ids")


def step(
    softmax: Mapping[str, int] | None = None,
    top: Mapping[str, int] | None = None,
    shape: tuple[int | str, ...] = ("rows", VOCABULARY),
    *,
    is_scaled: bool = False,
) -> ir.Model:
    """As graphs are traced: log-probabilities are read before the TopK. is_scaled: whether how many
    are wanted is worked out in the graph."""
    logits = graph_input("logits", ir.DataType.FLOAT, shape)
    k = graph_input("num_candidates", ir.DataType.INT64, (1,))
    probs = ir.node("LogSoftmax", [logits], {"axis": -1} | dict(softmax or {}))
    probs.outputs[0].shape = ir.Shape(shape)
    shift = ir.node("Sub", [logits, probs.outputs[0]])
    doubled = ir.node("Add", [k, k])
    count = doubled.outputs[0] if is_scaled else k
    best = ir.node("TopK", [probs.outputs[0], count], {"axis": -1} | dict(top or {}), num_outputs=2)
    outputs = [*probs.outputs, *best.outputs, *shift.outputs]
    for value, name in zip(outputs, (*NAMES, "normalizers"), strict=True):
        value.name = name
    nodes = [probs, shift, *([doubled] if is_scaled else []), best]
    model = model_of([logits, k], outputs, nodes, [])
    outputs[2].dtype = ir.DataType.INT64
    return model


def compute(model: ir.Model) -> list[np.ndarray]:
    logits = np.random.default_rng(3).standard_normal((2, VOCABULARY), np.float32)
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {"logits": logits, "num_candidates": np.array([3], np.int64)}
    return list(session.run(None, feeds))


def test_a_call_computes_what_was_there() -> None:
    model = step()
    expected = compute(model)
    assert call_top_k(model)
    assert [node.op_type for node in model.graph] == ["LogSoftmaxTopK", "Sub"]
    assert {name for _, name, _ in model.functions} == {"LogSoftmaxTopK"}
    outputs = model.graph.outputs
    assert [value.name for value in outputs] == [*NAMES, "normalizers"]
    assert [value.dtype for value in outputs[:3]] == [ir.DataType.FLOAT] * 2 + [ir.DataType.INT64]
    for found, wanted in zip(compute(model), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "model",
    [
        step(softmax={"axis": 0}),
        step(top={"axis": 0}),
        step(top={"largest": 0}),
        step(top={"sorted": 0}),
        step(shape=("batch", "rows", VOCABULARY)),
        step(is_scaled=True),
    ],
    ids=["softmax of columns", "best of columns", "the least", "unsorted", "3 axes", "k made late"],
)
def test_another_choice_stays_in_stock_operators(model: ir.Model) -> None:
    assert not call_top_k(model)
    assert "TopK" in {node.op_type for node in model.graph}
    assert not model.functions


def test_a_choice_from_something_else_stays() -> None:
    model = step()
    (top,) = (node for node in model.graph if node.op_type == "TopK")
    top.replace_input_with(0, model.graph.inputs[0])
    assert not call_top_k(model)


def test_a_second_time_there_is_nothing_to_call() -> None:
    model = step()
    call_top_k(model)
    assert not call_top_k(model)
