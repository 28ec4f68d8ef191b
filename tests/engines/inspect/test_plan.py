"""Layers of graphs, and of plans where there is a GPU; the library of the latter is faked."""

import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from engines.tiny_graphs import write_foreign_node, write_product
from pegasus_engines.inspect.plan import check_gpu, network_layers, plan_layers, read_layers
from pegasus_engines.plans.tensorrt import BuildOptions, build_plan
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import Flavour, load_flavour

RTX = BuildOptions(target="trt-rtx", compute_capabilities=("8.9",))


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    return write_product(tmp_path / "product.onnx")


@pytest.fixture
def plan(tmp_path: Path, graph: Path) -> Path:
    profile = {"batch": (1, 1, 1), "source": (8, 8, 8)}
    build_plan(graph, tmp_path / "product.plan", profiles=[profile], options=RTX)
    return tmp_path / "product.plan"


def test_the_layers_of_a_graph_are_known_without_a_gpu(graph: Path) -> None:
    layers = network_layers(graph, target="trt-rtx")
    assert ("product", "MATRIX_MULTIPLY") in layers


def test_a_graph_that_does_not_parse_has_no_layers(graph: Path, tmp_path: Path) -> None:
    foreign = write_foreign_node(tmp_path / "foreign.onnx")
    with pytest.raises(EngineError, match=r"foreign\.onnx: TensorRT for RTX .* cannot parse it"):
        network_layers(foreign, target="trt-rtx")


@pytest.mark.skipif(current_capability() is not None, reason="there is a GPU")
def test_a_plan_is_not_opened_without_a_gpu(plan: Path) -> None:
    message = r"product\.plan: a plan can be opened on a GPU only, and there is none: do this on"
    with pytest.raises(EngineError, match=message):
        plan_layers(plan, target="trt-rtx")
    with pytest.raises(EngineError, match=r"product\.plan: TensorRT for RTX cannot open it: \S+"):
        read_layers(load_flavour("trt-rtx"), plan)


def test_a_gpu_is_enough() -> None:
    check_gpu(Path("some.plan"), "8.9")


class Runtime:
    """Opens any bytes; the inspector tells what they are."""

    def __init__(self, logger: Any) -> None:
        self.plan = b""

    def deserialize_cuda_engine(self, plan: bytes) -> "Runtime":
        self.plan = plan
        return self

    def create_engine_inspector(self) -> "Runtime":
        return self

    def get_engine_information(self, form: str) -> str:
        return json.dumps({"Layers": [{"Name": self.plan.decode()}], "form": form})


def test_the_inspector_lists_the_layers_of_a_plan(tmp_path: Path) -> None:
    module = ModuleType("tensorrt")
    form = SimpleNamespace(JSON="json")
    vars(module).update(ILogger=object, Runtime=Runtime, LayerInformationFormat=form)
    vars(module)["__version__"] = "10.3.0"
    flavour = Flavour(target="trt", title="TensorRT", tool="tensorrt", module=module)
    (tmp_path / "some.plan").write_bytes(b"fused attention")
    assert read_layers(flavour, tmp_path / "some.plan") == [{"Name": "fused attention"}]
