"""What Polygraphy finds in good graphs and in bad ones."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from engines.tiny_graphs import write_product, write_wrong_product
from pegasus_engines.inspect.lint import lint_graph
from pegasus_runtime.errors import EngineError


@pytest.fixture
def _polygraphy() -> None:
    pytest.importorskip("polygraphy", reason="Polygraphy is not installed")
    pytest.importorskip("onnx_graphsurgeon", reason="onnx-graphsurgeon is not installed")


@pytest.mark.usefixtures("_polygraphy")
def test_nothing_is_found_in_a_good_graph(tmp_path: Path) -> None:
    graph = write_product(tmp_path / "product.onnx", weights="weights.bin")
    assert lint_graph(graph) == ()


@pytest.mark.usefixtures("_polygraphy")
def test_a_faulty_node_is_named_and_those_behind_it_are_not(tmp_path: Path) -> None:
    findings = lint_graph(write_wrong_product(tmp_path / "wrong.onnx"))
    nodes = {node for finding in findings for node in finding.nodes}
    assert nodes == {"misfit"}
    assert findings[0].level == "exception"
    assert findings[0].source == "onnxruntime"
    assert "dimension" in findings[0].message.lower()


@pytest.mark.usefixtures("_polygraphy")
def test_inputs_have_the_shapes_that_are_given(tmp_path: Path) -> None:
    graph = write_product(tmp_path / "product.onnx", dim="source")
    assert lint_graph(graph, {"x": (1, 24, 16)}) == ()
    with pytest.raises(EngineError, match=r"cannot check it: .* incompatible shape: \(1, 24, 15\)"):
        lint_graph(graph, {"x": (1, 24, 15)})


@pytest.mark.usefixtures("_polygraphy")
def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"none\.onnx: Polygraphy cannot check it: \S+"):
        lint_graph(tmp_path / "none.onnx")


@pytest.mark.parametrize("name", ["polygraphy", "onnx_graphsurgeon"])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for each in ("polygraphy", "onnx_graphsurgeon"):
        module = ModuleType(each)
        module.__spec__ = ModuleSpec(each, None)
        monkeypatch.setitem(sys.modules, each, module if each != name else None)
    message = f"^{name} is not installed: pip install polygraphy onnx-graphsurgeon$"
    with pytest.raises(EngineError, match=message):
        lint_graph(Path("any.onnx"))
