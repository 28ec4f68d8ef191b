"""What TensorRT's two libraries offer; tests of what they do are in test_tensorrt.py."""

from types import ModuleType, SimpleNamespace

import pytest

from pegasus_engines.plans.flavours import capability_table, network_flags
from pegasus_runtime.native.tensorrt import Flavour


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
