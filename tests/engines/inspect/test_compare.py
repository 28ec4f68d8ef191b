"""Polygraphy's comparison, of ONNX Runtime with itself: TensorRT's side needs a GPU."""

import sys
from pathlib import Path

import numpy as np
import pytest

from engines.tiny_graphs import SIZE, write_product, write_wrong_product
from pegasus_engines.inspect.compare import compare_engines, compare_runners, open_onnx, open_plan
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability

FEEDS = {"x": np.ones((1, 3, SIZE), np.float32)}


@pytest.fixture
def _polygraphy() -> None:
    pytest.importorskip("polygraphy", reason="Polygraphy is not installed")


@pytest.mark.usefixtures("_polygraphy")
def test_equal_engines_do_not_differ(tmp_path: Path) -> None:
    graph = write_product(tmp_path / "product.onnx")
    (difference,) = compare_runners(open_onnx(graph), open_onnx(graph), FEEDS)
    assert difference.output == "y"
    assert (difference.max_abs, difference.mean_abs, difference.max_rel) == (0, 0, 0)


@pytest.mark.usefixtures("_polygraphy")
def test_errors_are_those_of_the_second_engine(tmp_path: Path) -> None:
    first = write_product(tmp_path / "first.onnx")
    second = write_product(tmp_path / "second.onnx", scale=1.5)
    (difference,) = compare_runners(open_onnx(first), open_onnx(second), FEEDS)
    expected = np.abs(np.linspace(-1, 1, SIZE * SIZE).reshape(SIZE, SIZE).sum(0)) / 2
    np.testing.assert_allclose(difference.max_abs, expected.max(), rtol=1e-5)
    np.testing.assert_allclose(difference.mean_abs, expected.mean(), rtol=1e-5)
    np.testing.assert_allclose(difference.max_rel, 0.5, rtol=1e-4)


@pytest.mark.usefixtures("_polygraphy")
def test_an_engine_that_fails_is_reported(tmp_path: Path) -> None:
    good = write_product(tmp_path / "product.onnx")
    bad = write_wrong_product(tmp_path / "wrong.onnx")
    with pytest.raises(EngineError, match=r"^Polygraphy cannot compare: .*misfit"):
        compare_runners(open_onnx(good), open_onnx(bad), FEEDS)


@pytest.mark.usefixtures("_polygraphy")
def test_outputs_of_other_shapes_are_not_compared(tmp_path: Path) -> None:
    first = write_product(tmp_path / "first.onnx")
    second = write_product(tmp_path / "second.onnx", output="z")
    message = r"outputs differ: {'y': \(1, 3, 16\)} and {'z': .*: build the plan from this graph$"
    with pytest.raises(EngineError, match=message):
        compare_runners(open_onnx(first), open_onnx(second), FEEDS)


@pytest.mark.usefixtures("_polygraphy")
def test_a_plan_is_opened_when_it_runs() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    assert "trt" in open_plan(Path("none.plan"), target="trt-rtx").name


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_a_plan_is_not_compared_without_a_gpu() -> None:
    with pytest.raises(EngineError, match=r"^some\.plan: a plan can be opened on a GPU only"):
        compare_engines(Path("graph.onnx"), Path("some.plan"), FEEDS, target="trt-rtx")


def test_a_missing_polygraphy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.split(".")[0] == "polygraphy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "polygraphy", None)
    message = r"^Polygraphy is not installed \(.*\): pip install polygraphy$"
    with pytest.raises(EngineError, match=message):
        open_onnx(Path("graph.onnx"))
