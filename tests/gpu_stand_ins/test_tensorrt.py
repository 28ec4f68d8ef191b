"""The stand-in for TensorRT refuses what TensorRT does, in the way that its bindings do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_stand_ins.cuda import CudaError, FakeCuda
from gpu_stand_ins.tensorrt import (
    DataType,
    FakeConfig,
    FakeContext,
    FakeTensor,
    FakeTensorRT,
    Severity,
    Strategy,
)

RANGES = (((1, 4), (1, 4), (2, 4)), ((3, 4), (4, 4), (8, 4)))


class Setting:
    """A context of an engine that doubles, with memory for a batch of 8."""

    def __init__(self) -> None:
        self.cuda = FakeCuda()
        self.library = FakeTensorRT(self.cuda, is_rtx=True)
        self.said: list[str] = []
        self.library.logger = self
        tensors = {
            "x": FakeTensor("INPUT", DataType.FLOAT, (-1, 4), RANGES),
            "y": FakeTensor("OUTPUT", DataType.FLOAT, (-1, 4)),
        }
        self.engine = self.library.add_engine(b"", tensors, scratch_bytes=(512, 512))
        config = FakeConfig(self.library)
        config.set_execution_context_allocation_strategy(Strategy.USER_MANAGED)
        context = self.engine.create_execution_context(config)
        assert isinstance(context, FakeContext)
        self.context = context
        self.stream: Any = self.cuda.cudaStreamCreateWithFlags(1)[1]
        self.x, self.y, self.scratch = (self.cuda.cudaMalloc(512)[1] for _ in range(3))

    def log(self, severity: Severity, message: str) -> None:
        self.said.append(message)

    def bind(self) -> None:
        assert self.context.set_optimization_profile_async(0, int(self.stream))
        self.context.set_device_memory(self.scratch, 512)
        assert self.context.set_input_shape("x", (2, 4))
        assert self.context.set_tensor_address("x", self.x)
        assert self.context.set_tensor_address("y", self.y)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_profile_that_is_not_there_raises(setting: Setting) -> None:
    with pytest.raises(RuntimeError, match=r"^Error in set optimization profile async\.$"):
        setting.context.set_optimization_profile_async(2, int(setting.stream))
    assert "there is no profile 2" in setting.said[-1]


@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (2,)])
def test_a_shape_outside_the_profile_is_refused(setting: Setting, shape: tuple[int, ...]) -> None:
    assert not setting.context.set_input_shape("x", shape)
    assert setting.context.get_tensor_shape("y") == [-1, 4]


@pytest.mark.parametrize(
    ("shape", "message"), [((1,) * 9, "^The number of input dims exceeds"), ((2**31,), "^Unable")]
)
def test_a_shape_that_is_none_raises(
    setting: Setting, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        setting.context.set_input_shape("x", shape)


def test_an_address_that_is_not_aligned_is_refused(setting: Setting) -> None:
    assert not setting.context.set_tensor_address("x", setting.x + 8)
    assert not setting.context.set_tensor_address("z", setting.x)


@pytest.mark.parametrize(
    ("undo", "problem"),
    [
        (lambda x: x.set_optimization_profile_async(1, 101), "x has no shape"),
        (lambda x: x.set_tensor_address("y", 0), "y has no address"),
        (lambda x: x.set_device_memory(256, 511), "there is no device memory"),
    ],
)
def test_a_run_of_what_is_not_bound_is_refused(setting: Setting, undo: Any, problem: str) -> None:
    setting.bind()
    undo(setting.context)
    assert not setting.context.execute_async_v3(int(setting.stream))
    assert problem in setting.said[-1]


def test_a_run_writes_when_the_stream_is_waited_for_and_uses_the_scratch_memory(
    setting: Setting,
) -> None:
    setting.bind()
    x, y = (
        setting.cuda.memory[address][:32].view(np.float32) for address in (setting.x, setting.y)
    )
    x[...] = 3
    assert setting.context.execute_async_v3(int(setting.stream))
    assert not (y == 6).any()
    setting.cuda.cudaStreamSynchronize(setting.stream)
    assert (y == 6).all()
    assert (setting.cuda.memory[setting.scratch] == 0xEE).all()


def test_the_first_run_after_a_change_of_shape_cannot_be_captured(setting: Setting) -> None:
    setting.bind()
    for is_updated in (False, True):
        setting.cuda.cudaStreamBeginCapture(setting.stream, 1)
        assert setting.context.execute_async_v3(int(setting.stream)) == is_updated
        error, _ = setting.cuda.cudaStreamEndCapture(setting.stream)
        assert (error == CudaError.cudaSuccess) == is_updated
        assert setting.context.execute_async_v3(int(setting.stream))
