"""The stand-in for CUDA fails where CUDA does: what its docstring says of NVIDIA's documents."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gpu_stand_ins.cuda import OK, CudaError, FakeCuda, Handle
from gpu_stand_ins.memory import FREED, bytes_at

TO_GPU, WITHIN = 1, 3


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda(gpu_bytes=2**20)


@pytest.fixture
def stream(cuda: FakeCuda) -> Handle:
    handle: Handle = cuda.cudaStreamCreateWithFlags(1)[1]
    return handle


def test_addresses_are_multiples_of_256_and_not_of_512(cuda: FakeCuda) -> None:
    for size in (1, 256, 1000):
        assert cuda.cudaMalloc(size)[1] % 512 == 256


def test_memory_ends_and_a_failed_allocation_has_no_address(cuda: FakeCuda) -> None:
    assert cuda.cudaMalloc(2**20)[0] == OK
    assert cuda.cudaMalloc(1) == (CudaError.cudaErrorMemoryAllocation, None)
    assert cuda.cudaMemGetInfo() == (OK, 0, 2**20)
    assert cuda.cudaMallocHost(2**20)[0] == OK


def test_a_source_that_is_written_to_before_the_stream_is_waited_for_is_copied_so(
    cuda: FakeCuda, stream: Handle
) -> None:
    source, (_, target) = np.full(16, 1, np.uint8), cuda.cudaMalloc(16)
    assert cuda.cudaMemcpyAsync(target, source.ctypes.data, 16, TO_GPU, stream) == (OK,)
    source[...] = 2
    cuda.cudaStreamSynchronize(stream)
    assert (bytes_at(target, 16) == 2).all()
    assert cuda.pageable == 1


def test_what_is_freed_is_overwritten(cuda: FakeCuda) -> None:
    _, address = cuda.cudaMalloc(16)
    memory = bytes_at(address, 16)
    assert cuda.cudaFree(address) == (OK,)
    assert (memory == FREED).all()
    assert cuda.cudaFree(address) == (CudaError.cudaErrorInvalidValue,)


@pytest.mark.parametrize(
    ("pitch", "rows", "error"),
    [
        (16, 4, OK),
        (15, 4, CudaError.cudaErrorInvalidPitchValue),
        (2**31, 1, CudaError.cudaErrorInvalidPitchValue),
        (16, 5, CudaError.cudaErrorInvalidValue),
    ],
)
def test_copies_of_pieces_have_limits(
    cuda: FakeCuda, stream: Handle, pitch: int, rows: int, error: CudaError
) -> None:
    (_, source), (_, target) = cuda.cudaMalloc(64), cuda.cudaMalloc(64)
    got = cuda.cudaMemcpy2DAsync(target, pitch, source, pitch, 16, rows, WITHIN, stream)
    assert got == (error,)


@pytest.mark.parametrize("call", ["cudaMalloc", "cudaFree", "cudaStreamSynchronize"])
def test_what_may_not_be_captured_invalidates_the_capture(
    cuda: FakeCuda, stream: Handle, call: str
) -> None:
    _, address = cuda.cudaMalloc(16)
    cuda.cudaStreamBeginCapture(stream, 1)
    argument = {"cudaMalloc": 16, "cudaFree": address, "cudaStreamSynchronize": stream}[call]
    assert getattr(cuda, call)(argument)[0] == CudaError.cudaErrorStreamCaptureUnsupported
    invalid = CudaError.cudaErrorStreamCaptureInvalidated
    assert cuda.cudaMemsetAsync(address, 0, 16, stream) == (invalid,)
    assert cuda.cudaStreamEndCapture(stream) == (invalid, None)


def test_a_capture_is_its_threads_own(cuda: FakeCuda, stream: Handle) -> None:
    cuda.cudaStreamBeginCapture(stream, 1)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cuda.cudaMalloc, 16).result()[0] == OK
        ended = pool.submit(cuda.cudaStreamEndCapture, stream).result()
    assert ended == (CudaError.cudaErrorStreamCaptureWrongThread, None)
    assert cuda.cudaStreamEndCapture(stream)[0] == OK


def test_a_graph_over_memory_that_was_freed_loses_the_context(
    cuda: FakeCuda, stream: Handle
) -> None:
    _, address = cuda.cudaMalloc(16)
    cuda.cudaStreamBeginCapture(stream, 1)
    cuda.cudaMemsetAsync(address, 0, 16, stream)
    _, executable = cuda.cudaGraphInstantiate(cuda.cudaStreamEndCapture(stream)[1], 0)
    cuda.cudaFree(address)
    assert cuda.cudaGraphLaunch(executable, stream) == (OK,)
    illegal = CudaError.cudaErrorIllegalAddress
    assert cuda.cudaStreamSynchronize(stream) == (illegal,)
    assert cuda.cudaMalloc(16) == (illegal, None)
    assert cuda.cudaGetLastError() == cuda.cudaGetLastError() == (illegal,)


def test_a_graph_is_launched_by_threads_of_its_gpu(cuda: FakeCuda, stream: Handle) -> None:
    cuda.gpus = 2
    assert cuda.cudaSetDevice(1) == (OK,)
    _, address = cuda.cudaMalloc(16)
    cuda.cudaStreamBeginCapture(stream, 1)
    cuda.cudaMemsetAsync(address, 0, 16, stream)
    _, executable = cuda.cudaGraphInstantiate(cuda.cudaStreamEndCapture(stream)[1], 0)
    wrong = CudaError.cudaErrorInvalidResourceHandle
    assert cuda.cudaGraphLaunch(executable, stream) == (wrong,)
    cuda.cudaSetDevice(0)
    assert cuda.cudaGraphLaunch(executable, stream) == (OK,)
