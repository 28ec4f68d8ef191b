"""Whether a GPU is taken by itself, and what is said where it is not."""

import logging

import pytest

from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.cuda.graph import is_available, provider_options

CUDA = ("CUDAExecutionProvider", "CPUExecutionProvider")


def fail() -> None:
    raise EngineError("cudaGetDeviceCount: the NVIDIA driver is for CUDA 12.2: update the driver")


def test_a_library_that_has_no_cuda_is_no_matter(caplog: pytest.LogCaptureFixture) -> None:
    assert not is_available(providers=["CPUExecutionProvider"], make_device=fail)
    assert not caplog.records


def test_a_gpu_that_answers_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    assert is_available(providers=CUDA, make_device=lambda: None)
    assert not caplog.records


def test_a_gpu_that_does_not_answer_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert not is_available(providers=CUDA, make_device=fail)
    assert caplog.messages == [
        "runs on the CPU, as no GPU answers: cudaGetDeviceCount: the NVIDIA driver is for CUDA "
        "12.2: update the driver"
    ]


def test_the_provider_runs_in_our_stream_and_takes_no_more_memory_than_it_needs() -> None:
    """The names of onnxruntime's documentation of the CUDA execution provider."""
    assert provider_options(7) == {
        "user_compute_stream": "7",
        "arena_extend_strategy": "kSameAsRequested",
    }
