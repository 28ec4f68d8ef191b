"""Function bodies are taken out of a model's bytes, and nothing else."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

from pegasus_engines.plans.plugin_bodies import drop_plugin_bodies
from pegasus_engines.plans.tensorrt import parse_graph
from pegasus_engines.plans.watch import record_build
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.tensorrt import Flavour, load_flavour


def model_with_functions(*domains: str) -> onnx.ModelProto:
    """x -> one call per domain -> y; the bodies double."""
    opsets = [helper.make_opsetid("", 18), *(helper.make_opsetid(each, 1) for each in domains)]
    body = helper.make_node("Add", ["a", "a"], ["b"])
    functions = [
        helper.make_function(each, "Double", ["a"], ["b"], [body], opsets[:1]) for each in domains
    ]
    names = ["x", *(f"h{number}" for number in range(len(domains) - 1)), "y"]
    nodes = [
        helper.make_node("Double", [names[i]], [names[i + 1]], domain=each, plugin_namespace=each)
        for i, each in enumerate(domains)
    ]
    values = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [4]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=10)
    helper.set_model_props(model, {"note": "x" * 300})
    return model


def test_only_the_functions_of_the_domain_are_dropped() -> None:
    model = model_with_functions("pegasus", "other")
    left = onnx.ModelProto.FromString(drop_plugin_bodies(model.SerializeToString(), "pegasus"))
    assert [each.domain for each in left.functions] == ["other"]
    del model.functions[0]
    assert left == model


def test_a_model_without_functions_stays_as_it_is() -> None:
    content = model_with_functions("other").SerializeToString()
    assert drop_plugin_bodies(content, "pegasus") == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x0a\x05abc", "ends inside the field that begins at byte 0"),
        (b"\x0b", "byte 0 begins a field of kind 3"),
        (b"\x08", "no number ends before byte 1"),
        (b"\xff" * 20, "no number ends before byte 10"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drop_plugin_bodies(content, "pegasus")


def test_fields_of_fixed_size_are_kept() -> None:
    content = b"\x09" + b"8bytes.." + b"\x0d" + b"four" + b"\x10\x96\x01"
    assert drop_plugin_bodies(content, "pegasus") == content


def test_tensorrt_looks_for_the_plugin_and_tensorrt_for_rtx_takes_the_body(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    rtx = load_flavour("trt-rtx")
    trt = Flavour(target="trt", title="TensorRT", tool="tensorrt", module=rtx.module)
    path = tmp_path / "graph.onnx"
    onnx.save(model_with_functions("pegasus"), path)
    with record_build(rtx.module, None) as (logger, log):
        builder = rtx.module.Builder(logger)
        assert parse_graph(rtx, builder, path, logger, log).num_layers > 0
        with pytest.raises(EngineError, match=r"Double .*Plugin not found"):
            parse_graph(trt, builder, path, logger, log)
        del builder
