"""TensorRT's two libraries, found or missed; tests of what they do are in test_tensorrt.py."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from pegasus_engines.plans.flavours import (
    Flavour,
    capability_table,
    load_flavour,
    network_flags,
    tensorrt_version,
)
from pegasus_runtime.errors import EngineError


class Members(SimpleNamespace):
    """An enumeration as TensorRT's bindings have it."""

    def __init__(self, **members: int) -> None:
        super().__init__(__members__=members, **members)


def library(**contents: object) -> ModuleType:
    module = ModuleType("tensorrt")
    vars(module).update({"__version__": "10.3.0"} | contents)
    return module


def flavour_of(module: ModuleType, target: str = "trt-rtx") -> Flavour:
    return Flavour(target=target, title="TensorRT", tool="tensorrt", module=module)


@pytest.mark.parametrize(
    ("target", "name", "tool"),
    [("trt", "tensorrt", "tensorrt"), ("trt-rtx", "tensorrt_rtx", "tensorrt-rtx")],
)
def test_each_target_has_its_library(
    monkeypatch: pytest.MonkeyPatch, target: str, name: str, tool: str
) -> None:
    monkeypatch.setitem(sys.modules, name, library())
    flavour = load_flavour(target)
    assert (flavour.tool, flavour.version, flavour.target) == (tool, "10.3.0", target)
    assert tensorrt_version(target) == "10.3.0"


@pytest.mark.parametrize(
    ("target", "name", "message"),
    [
        (
            "trt",
            "tensorrt",
            r"^TensorRT cannot be imported \(.*\): pip install 'pegasus-edge\[trt\]', or on a "
            "Jetson take the system's: python3 -m venv --system-site-packages$",
        ),
        (
            "trt-rtx",
            "tensorrt_rtx",
            r"^TensorRT for RTX cannot be imported \(.*\): pip install 'pegasus-edge\[rtx\]'$",
        ),
    ],
)
def test_a_missing_library_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, target: str, name: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=message):
        load_flavour(target)


def test_other_targets_have_no_tensorrt() -> None:
    message = "^target 'ort' is not one of TensorRT's: expected trt or trt-rtx$"
    with pytest.raises(EngineError, match=message):
        load_flavour("ort")


def test_capabilities_are_those_that_the_library_lists() -> None:
    module = library(ComputeCapability=Members(NONE=0, CURRENT=1, SM75=75, SM89=89, SM120=120))
    assert capability_table(flavour_of(module)) == {"7.5": 75, "8.9": 89, "12.0": 120}


def test_a_library_that_builds_for_the_gpu_at_hand_lists_none() -> None:
    assert capability_table(flavour_of(library())) == {}
    module = library(ComputeCapability=Members(SM89=89))
    assert capability_table(flavour_of(module, "trt")) == {}


@pytest.mark.parametrize(("flags", "expected"), [({"STRONGLY_TYPED": 1}, 2), ({}, 0)])
def test_networks_are_strongly_typed_whether_or_not_it_takes_a_flag(
    flags: dict[str, int], expected: int
) -> None:
    module = library(NetworkDefinitionCreationFlag=Members(**flags))
    assert network_flags(flavour_of(module)) == expected
