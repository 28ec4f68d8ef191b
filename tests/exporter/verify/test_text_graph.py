"""A graph with text around it that is another than the graph inside is found out."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tokenizer_texts import planned, tokenizer_of
from pegasus_export.errors import VerificationError
from pegasus_export.generation.inputs import SCALARS
from pegasus_export.passes.put_text_around import put_text_around
from pegasus_export.verify.text_graph import verify_text_graph

SIZE = 320


def _echo(path: Path) -> onnx.ModelProto:
    """generate.onnx's names; the one row is the source."""
    tensor, int64 = helper.make_tensor_value_info, TensorProto.INT64
    nodes = [
        helper.make_node("Unsqueeze", ["input_ids", "one"], ["sequences"]),
        helper.make_node("ReduceSum", ["attention_mask", "one"], ["lengths"]),
        helper.make_node("Identity", ["lengths"], ["scores"]),
    ]
    names = ("input_ids", "attention_mask"), ("sequences", "lengths", "scores")
    inputs, outputs = ([tensor(name, int64, None) for name in each] for each in names)
    inputs += [tensor(name, dtype.value, []) for name, dtype in SCALARS.items()]
    one = numpy_helper.from_array(np.array([1]), "one")
    graph = helper.make_graph(nodes, "generate", inputs, outputs, [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return model


def test_other_ids_and_texts_are_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_extensions", reason="onnxruntime-extensions is not installed")
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", vocab_size=SIZE)
    model, plan = _echo(tmp_path / "inner.onnx"), planned(folder)
    put_text_around(model, plan, max_source_tokens=12, vocab_size=SIZE)
    path, inner = tmp_path / "text.onnx", tmp_path / "inner.onnx"
    path.write_bytes(model.SerializeToString())
    ours = tokenizer_of(folder, tmp_path, parse=False)
    assert verify_text_graph(path, inner, ours, max_source_tokens=12, max_length=8)
    with pytest.raises(VerificationError, match=r"text\.onnx: gives .* as sequences, expected"):
        verify_text_graph(path, inner, ours, max_source_tokens=11, max_length=8)
    parsing = tokenizer_of(folder, tmp_path)
    with pytest.raises(VerificationError, match="report this with the checkpoint's config"):
        verify_text_graph(path, inner, parsing, max_source_tokens=12, max_length=8)


def test_without_the_library_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", vocab_size=SIZE)
    ours = tokenizer_of(folder, tmp_path, parse=False)
    monkeypatch.setitem(sys.modules, "onnxruntime_extensions", None)
    path = tmp_path / "none.onnx"
    assert not verify_text_graph(path, path, ours, max_source_tokens=12, max_length=8)
