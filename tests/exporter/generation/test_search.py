"""What random searches seldom come to."""

from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime

from exporter.generation.pair_chain import PairEngine, random_pairs
from exporter.generation.test_compose import SOURCES, VOCABULARY, fix, open_chain, run
from pegasus_export.dialects.nodes import Nodes, name_values
from pegasus_export.generation.inputs import check_inputs, make_inputs
from pegasus_export.generation.search import empty_state, read_out
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from runtime.search.oracle import settings_for


def test_rows_that_stand_for_none_are_not_returned() -> None:
    pairs = random_pairs(np.random.default_rng(4), 3, VOCABULARY)
    options = GenerationOptions(
        num_beams=4,
        num_return_sequences=4,
        max_length=3,
        forced_bos_token_id=6,
        forced_eos_token_id=1,
    )
    settings = settings_for(options, vocab_size=VOCABULARY)
    expected = generate(PairEngine(pairs), SOURCES, settings)
    got = run(open_chain(pairs, fix(settings)), settings)
    assert [len(each) for each in expected] == [1, 1, 1]
    assert [[x.token_ids for x in each] for each in got] == [[(6, 1)]] * 3


def test_real_rows_come_before_those_that_score_higher_and_stand_for_none() -> None:
    """A length penalty far below 0 makes long rows score less than -1e9."""
    fixed = fix(settings_for(GenerationOptions(max_length=8), vocab_size=VOCABULARY))
    nodes, given, state = Nodes(), make_inputs(), empty_state()
    mask = ir.Value(name="mask", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(("b", "s")))
    inputs, _ = check_inputs(nodes, given, mask, mask, fixed)
    found = read_out(nodes, state, inputs, fixed)
    outputs = [found.sequences, found.lengths, found.scores]
    dtypes = (ir.DataType.INT64, ir.DataType.INT64, ir.DataType.FLOAT)
    for value, dtype in zip(outputs, dtypes, strict=True):
        value.type = ir.TensorType(dtype)
    read = [state.finished_sequences, state.finished_lengths, state.finished_scores]
    graph = nodes.graph("read", [*read, state.is_finished, mask, *given.values()], outputs, 18)
    name_values(graph)
    content = ir.to_proto(ir.Model(graph, ir_version=9)).SerializeToString()
    session = onnxruntime.InferenceSession(content)
    scalars: dict[str, Any] = {name: np.array(1) for name in given}
    scalars |= {"num_beams": np.array(2), "max_length": np.array(8)}
    scalars["num_return_sequences"] = np.array(2)
    scalars |= {
        "length_penalty": np.array(-8, np.float32),
        "repetition_penalty": np.array(1, np.float32),
    }
    sequences, lengths, scores = session.run(
        None,
        {
            "finished_sequences": np.array([[0, 1, 0, 0], [0, 3, 4, 1]]),
            "finished_lengths": np.array([[2, 4]]),
            "finished_scores": np.array([[-1e9, -2e9]], np.float32),
            "is_finished": np.array([[True, True]]),
            "mask": np.ones((1, 3), np.int64),
            **scalars,
        },
    )
    # -2e9 / 3 ** 8 is a sum of -3e5, unlikely and real; -1e9 / 1 ** 8 is that of no row
    assert sequences.tolist() == [[[3, 4, 1], [0, 0, 0]]]
    assert lengths.tolist() == [[3, 0]]
    assert scores.tolist() == [[-2e9, -np.inf]]
