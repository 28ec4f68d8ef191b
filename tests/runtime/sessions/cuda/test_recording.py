"""Work recorded as CUDA graphs, on a CUDA that is this computer's memory."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gpu_stand_ins.cuda import CudaError, FakeCuda
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.cuda.device import CudaDevice
from pegasus_runtime.sessions.cuda.recording import CudaGraph
from pegasus_runtime.sessions.device.protocol import Rows, View

ARRAY = np.arange(4, dtype=np.float32)


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def device(cuda: FakeCuda) -> CudaDevice:
    return CudaDevice(runtime=cuda)


def allocate_view(device: CudaDevice) -> View:
    return View(buffer=device.allocate(ARRAY.nbytes), shape=ARRAY.shape, dtype=ARRAY.dtype)


def test_a_recorded_copy_runs_each_time_that_it_is_launched(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    source, target = allocate_view(device), allocate_view(device)
    rows = [Rows(buffer=x.buffer, offset=0, pitch=16, width=16, count=1) for x in (source, target)]
    graph = CudaGraph(device, lambda: device.copy(*rows))
    assert not device.download(target).any()  # recorded, not run
    for number in (1, 2):
        device.upload(ARRAY + number, source)
        graph.launch()
        np.testing.assert_array_equal(device.download(target), ARRAY + number)


def test_a_graph_that_nothing_refers_to_is_freed(cuda: FakeCuda, device: CudaDevice) -> None:
    graph = CudaGraph(device, lambda: None)
    assert len(cuda.graphs) == 1
    graph.launch()
    del graph
    assert not cuda.graphs


def test_memory_that_is_let_go_while_recording_is_freed_afterwards(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    buffers = [device.allocate(16)]
    address = buffers[0].address

    def work() -> None:
        buffers.clear()
        assert address in cuda.memory

    CudaGraph(device, work)
    assert address not in cuda.memory


def test_memory_of_another_device_object_that_is_let_go_while_recording_is_freed_afterwards(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    """Of another bundle in this process: the collector runs in any line of any thread."""
    other = CudaDevice(runtime=cuda)
    buffers = [other.allocate(16)]
    address = buffers[0].address
    CudaGraph(device, buffers.clear)
    assert address not in cuda.memory


def test_other_threads_may_allocate_while_one_records(cuda: FakeCuda, device: CudaDevice) -> None:
    other = CudaDevice(runtime=cuda)

    def work() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(other.allocate, 16).result()

    CudaGraph(device, work).launch()


def test_work_that_cannot_be_recorded_is_an_engine_error_and_the_stream_goes_on(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    message = r"^cudaMalloc failed with cudaErrorStreamCaptureUnsupported \("
    with pytest.raises(EngineError, match=message):
        CudaGraph(device, lambda: [device.allocate(16)].clear())
    assert cuda.captured is None
    assert "cudaGetLastError" not in cuda.calls  # nobody reads it
    assert not cuda.graphs
    view = allocate_view(device)
    device.upload(ARRAY, view)
    np.testing.assert_array_equal(device.download(view), ARRAY)


def test_a_recording_that_cuda_finds_spoilt_at_its_end_is_an_engine_error(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    message = r"^cudaStreamEndCapture failed with cudaErrorStreamCaptureInvalidated \("
    with pytest.raises(EngineError, match=message):
        CudaGraph(device, lambda: [cuda.spoil()].clear())
    assert "cudaGetLastError" not in cuda.calls  # nobody reads it


def test_what_the_recorded_work_raises_is_raised(cuda: FakeCuda, device: CudaDevice) -> None:
    def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        CudaGraph(device, work)
    assert cuda.captured is None
    assert not cuda.graphs


def test_a_graph_that_cannot_be_made_leaves_nothing_behind(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    cuda.fails["cudaGraphInstantiate"] = CudaError.cudaErrorMemoryAllocation
    with pytest.raises(EngineError, match=r"^cudaGraphInstantiate failed with cudaErrorMemory"):
        CudaGraph(device, lambda: None)
    assert not cuda.graphs
