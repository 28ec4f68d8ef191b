"""Text in and text out of a graph that gives its input back, against the bundle's tokenizer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tokenizer_texts import edit_json, hard_texts, planned, save_again, tokenizer_of
from pegasus_export.errors import UnsupportedError
from pegasus_export.passes.put_text_around import check_text, put_text_around
from pegasus_export.tokenizer.plan import PlannedTokenizer
from pegasus_runtime.bundle import AddedToken
from pegasus_runtime.errors import InputError

VOCABULARY = 320
MOST = 40
LITERALS = ("</s>", "<pad>", "<n>", "<s>", "<mask_1>", "<unk_5>")
Run = Callable[[Sequence[str]], dict[str, Any]]


def _echo() -> onnx.ModelProto:
    """generate.onnx's names, with one row that is the source."""
    tensor = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Unsqueeze", ["input_ids", "one"], ["sequences"]),
        helper.make_node("ReduceSum", ["attention_mask", "one"], ["lengths"], keepdims=1),
        helper.make_node("Mul", ["lengths", "num_beams"], ["scores"]),
    ]
    int64 = TensorProto.INT64
    inputs = [tensor(name, int64, ["B", "S"]) for name in ("input_ids", "attention_mask")]
    inputs.append(tensor("num_beams", int64, []))
    outputs = [tensor("sequences", int64, ["B", "R", "T"]), tensor("lengths", int64, ["B", "R"])]
    outputs.append(tensor("scores", int64, ["B", "R"]))
    one = helper.make_tensor("one", int64, [1], [1])
    graph = helper.make_graph(nodes, "generate", inputs, outputs, [one])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def _with_text(plan: PlannedTokenizer) -> Run:
    extensions = pytest.importorskip(
        "onnxruntime_extensions", reason="onnxruntime-extensions is not installed"
    )
    model = _echo()
    put_text_around(model, plan, max_source_tokens=MOST, vocab_size=VOCABULARY)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(extensions.get_library_path())
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]

    def run(texts: Sequence[str]) -> dict[str, Any]:
        feeds = {"text": np.array(texts, dtype=object), "num_beams": np.array(1)}
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run


def _pegasus(folder: Path) -> Path:
    return write_tiny_checkpoint(folder, vocab_size=VOCABULARY)


def _bigbird(folder: Path) -> Path:
    name = "BigBirdPegasusForConditionalGeneration"
    return write_tiny_checkpoint(folder, architecture=name, vocab_size=VOCABULARY)


def _saved(folder: Path) -> Path:
    """With a tokenizer.json alone, whose text is to be tidied."""
    save_again(_pegasus(folder))
    edit_json(folder / "tokenizer_config.json", clean_up_tokenization_spaces=True)
    return folder


@pytest.mark.parametrize("build", [_pegasus, _bigbird, _saved])
def test_ids_and_text_are_those_of_the_bundles_tokenizer(
    tmp_path: Path, build: Callable[[Path], Path]
) -> None:
    folder = build(tmp_path / "checkpoint")
    run, ours = _with_text(planned(folder)), tokenizer_of(folder, tmp_path, parse=False)
    texts = [text for text in hard_texts(2000, LITERALS) if "\0" not in text]
    texts.append("the bridge . the boat ? they 've , a red ' boat !")
    for start in range(0, len(texts), 8):
        batch = texts[start : start + 8]
        found = run(batch)
        for row, text in enumerate(batch):
            try:
                expected = ours.encode(text, max_tokens=MOST, truncate=True)
            except InputError:  # of nothing that has an id
                assert found["num_tokens"][row] == 1 or text.isspace()
                continue
            length = int(found["lengths"][row, 0])
            ids = found["sequences"][row, 0]
            assert tuple(ids[:length].tolist()) == expected.token_ids, repr(text)
            assert not ids[length:].any()
            assert found["truncated"][row] == expected.truncated
            assert found["num_tokens"][row] == expected.num_tokens_before
            assert found["texts"][row, 0] == ours.decode(expected.token_ids)


def test_texts_without_words_have_what_comes_around_any(tmp_path: Path) -> None:
    found = _with_text(planned(_pegasus(tmp_path / "checkpoint")))(["", " \n"])
    assert found["sequences"].tolist() == [[[1]], [[1]]]
    assert found["num_tokens"].tolist() == [1, 1]
    assert found["texts"].tolist() == [[""], [""]]


def test_inputs_and_outputs_are_those_of_the_graph_and_text(tmp_path: Path) -> None:
    model = _echo()
    plan = planned(_pegasus(tmp_path / "checkpoint"))
    put_text_around(model, plan, max_source_tokens=MOST, vocab_size=VOCABULARY)
    assert [each.name for each in model.graph.input] == ["text", "num_beams"]
    names = ["texts", "sequences", "lengths", "scores", "truncated", "num_tokens"]
    assert [each.name for each in model.graph.output] == names
    again = _echo()
    put_text_around(again, plan, max_source_tokens=MOST, vocab_size=VOCABULARY)
    assert again.SerializeToString() == model.SerializeToString()


def test_what_comes_in_front_is_put_there(tmp_path: Path) -> None:
    plan = planned(_pegasus(tmp_path / "checkpoint"))
    plan = replace(plan, spec=replace(plan.spec, prefix_ids=(2, 3), suffix_ids=(4, 1)))
    found = _with_text(plan)(["the bridge", "the"])
    short = found["sequences"][1, 0].tolist()
    assert short[:2] == [2, 3]
    assert short[3:5] == [4, 1]
    assert found["lengths"].tolist() == [[len(short)], [5]]


def test_tokenizers_that_operators_cannot_do_are_refused_by_name(tmp_path: Path) -> None:
    plan = planned(_pegasus(tmp_path / "checkpoint"))

    def of(**fields: Any) -> PlannedTokenizer:
        return replace(plan, spec=replace(plan.spec, **fields))

    token = AddedToken(content="<sep>", token_id=300)
    refused = {
        "--text needs a tokenizer, and the checkpoint has none": None,
        "this one reads spiece.model as wordpiece: leave it out": of(kind="wordpiece"),
        r"this one looks for added tokens \(<sep>\) in a text": of(added_tokens=(token,)),
        "this one puts no space in front of a text": of(prepend="first"),
        "this one spells characters by their bytes": replace(
            plan, content=plan.content + b"\x0a\x0a\x0a\x06<0x00>\x18\x06"
        ),
    }
    for match, each in refused.items():
        with pytest.raises(UnsupportedError, match=match):
            check_text(each)
    assert check_text(plan) is plan
