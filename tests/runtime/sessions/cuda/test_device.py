"""Memory and stream of a GPU, on a CUDA that is this computer's memory; and the real one's errors.

What only a GPU can show is not tested here: see what is read of it in `gpu_stand_ins/cuda.py`.
"""

import gc
import re
import sys
import threading
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from gpu_stand_ins.cuda import CudaError, FakeCuda
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.cuda import CudaRuntime
from pegasus_runtime.sessions.cuda.device import CudaDevice
from pegasus_runtime.sessions.device.protocol import Device, Rows, View

FLOAT32 = np.dtype(np.float32)


@pytest.fixture
def cuda() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def device(cuda: FakeCuda) -> CudaDevice:
    return CudaDevice(runtime=cuda)


def view_of(device: Device, array: np.ndarray[Any, Any], offset: int = 0) -> View:
    buffer = device.allocate(offset + array.nbytes)
    return View(buffer=buffer, shape=array.shape, dtype=array.dtype, offset=offset)


def test_allocated_memory_is_zero(device: CudaDevice) -> None:
    buffer = device.allocate(24)
    assert buffer.num_bytes == 24
    found = device.download(View(buffer=buffer, shape=(2, 3), dtype=FLOAT32))
    np.testing.assert_array_equal(found, np.zeros((2, 3), np.float32))


def test_no_bytes_have_an_address_too(device: CudaDevice) -> None:
    buffer = device.allocate(0)
    assert buffer.num_bytes == 0
    assert buffer.address


def test_memory_is_freed_when_nothing_refers_to_it(cuda: FakeCuda, device: CudaDevice) -> None:
    buffer = device.allocate(24)
    view = View(buffer=buffer, shape=(6,), dtype=FLOAT32)
    address = buffer.address
    del buffer
    assert address in cuda.memory
    del view
    assert address not in cuda.memory


def test_a_device_that_nothing_refers_to_gives_everything_back(cuda: FakeCuda) -> None:
    device = CudaDevice(runtime=cuda)
    del device
    gc.collect()
    assert not cuda.memory
    assert "cudaStreamDestroy" in cuda.calls


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "int32", "bool"])
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 4)])
def test_what_is_uploaded_is_downloaded(
    device: CudaDevice, dtype: str, shape: tuple[int, ...]
) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 2, shape)).astype(dtype)
    view = view_of(device, array, offset=256)
    device.upload(array, view)
    found = device.download(view)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.shape == shape


def test_arrays_larger_than_the_staging_memory_arrive_whole(device: CudaDevice) -> None:
    array = np.random.default_rng(0).integers(0, 2**31, 10 * 2**18 + 3)  # 20 MiB, not in whole MiB
    view = view_of(device, array)
    device.upload(array, view)
    np.testing.assert_array_equal(device.download(view), array)


def test_an_array_with_gaps_is_uploaded_without_them(device: CudaDevice) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)[::2, 1::2]
    view = view_of(device, array)
    device.upload(array, view)
    np.testing.assert_array_equal(device.download(view), array)


def test_an_uploaded_array_is_free_before_the_stream_has_read_it(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    array = np.arange(6, dtype=np.float32)
    view = view_of(device, array)
    device.upload(array, view)
    assert cuda.queue  # the copy has not happened
    array[...] = -1
    np.testing.assert_array_equal(device.download(view), np.arange(6))


def test_many_uploads_that_nothing_waits_for_do_not_overwrite_each_other(
    device: CudaDevice,
) -> None:
    arrays = [np.full(2**20, number, np.uint8) for number in range(11)]  # 4 MiB are staged
    views = [view_of(device, array) for array in arrays]
    for array, view in zip(arrays, views, strict=True):
        device.upload(array, view)
    for array, view in zip(arrays, views, strict=True):
        np.testing.assert_array_equal(device.download(view), array)


def test_a_download_is_a_copy_of_its_own(device: CudaDevice) -> None:
    array = np.arange(6, dtype=np.float32)
    view = view_of(device, array)
    device.upload(array, view)
    first = device.download(view)
    device.upload(array + 1, view)
    device.download(view)
    np.testing.assert_array_equal(first, array)
    assert first.flags.writeable


def test_uploads_of_a_step_wait_for_nothing(cuda: FakeCuda, device: CudaDevice) -> None:
    array = np.arange(6, dtype=np.float32)
    view = view_of(device, array)
    cuda.calls.clear()
    device.upload(array, view)
    device.upload(array, view)
    assert "cudaStreamSynchronize" not in cuda.calls


def test_pieces_are_copied_into_pieces_at_other_distances(device: CudaDevice) -> None:
    source = np.arange(12, dtype=np.float32).reshape(3, 4)
    target = np.zeros((3, 6), np.float32)
    source_view, target_view = view_of(device, source), view_of(device, target)
    device.upload(source, source_view)
    device.copy(
        Rows(buffer=source_view.buffer, offset=4, pitch=16, width=8, count=3),
        Rows(buffer=target_view.buffer, offset=8, pitch=24, width=8, count=3),
    )
    target[:, 2:4] = source[:, 1:3]
    np.testing.assert_array_equal(device.download(target_view), target)


def test_pieces_may_be_copied_within_one_buffer(device: CudaDevice) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    view = view_of(device, array)
    device.upload(array, view)
    device.copy(
        Rows(buffer=view.buffer, offset=0, pitch=16, width=4, count=3),
        Rows(buffer=view.buffer, offset=12, pitch=16, width=4, count=3),
    )
    array[:, 3] = array[:, 0]
    np.testing.assert_array_equal(device.download(view), array)


def test_the_last_piece_may_end_before_its_pitch(device: CudaDevice) -> None:
    buffer = device.allocate(20)
    rows = Rows(buffer=buffer, offset=0, pitch=16, width=4, count=2)
    device.copy(rows, rows)
    device.synchronize()


def test_pieces_of_unequal_number_or_width_are_an_engine_error(device: CudaDevice) -> None:
    buffer = device.allocate(64)
    source = Rows(buffer=buffer, offset=0, pitch=8, width=4, count=2)
    target = Rows(buffer=buffer, offset=32, pitch=8, width=8, count=2)
    message = r"^got 2 pieces of 4 bytes to copy into 2 of 8, expected as many of the same width$"
    with pytest.raises(EngineError, match=message):
        device.copy(source, target)


def test_bytes_outside_a_buffer_are_an_engine_error(device: CudaDevice) -> None:
    buffer = device.allocate(16)
    message = r"^bytes 4 to 20 were asked of a buffer of 16: this is a mistake in pegasus-edge, pl"
    view = View(buffer=buffer, shape=(4,), dtype=FLOAT32, offset=4)
    with pytest.raises(EngineError, match=message):
        device.download(view)
    with pytest.raises(EngineError, match=message):
        device.upload(np.zeros(4, np.float32), view)
    inside = Rows(buffer=buffer, offset=0, pitch=8, width=8, count=2)
    outside = Rows(buffer=buffer, offset=4, pitch=8, width=8, count=2)
    with pytest.raises(EngineError, match=message):
        device.copy(inside, outside)


@pytest.mark.parametrize("array", [np.zeros((3, 2), np.float32), np.zeros((2, 3), np.float64)])
def test_an_array_unlike_its_view_is_an_engine_error(
    device: CudaDevice, array: np.ndarray[Any, Any]
) -> None:
    view = View(buffer=device.allocate(24), shape=(2, 3), dtype=FLOAT32)
    got = re.escape(f"got {array.dtype} {list(array.shape)} to upload, expected float32 [2, 3]: ")
    with pytest.raises(EngineError, match=f"^{got}give an array like its view$"):
        device.upload(array, view)


def test_a_device_says_what_it_is(device: CudaDevice) -> None:
    assert device.compute_capability() == "8.9"
    assert device.name() == "NVIDIA Fake"


def test_every_thread_works_on_the_gpu_that_was_chosen(cuda: FakeCuda, device: CudaDevice) -> None:
    cuda.calls.clear()
    thread = threading.Thread(target=device.allocate, args=(16,))
    thread.start()
    thread.join()
    assert cuda.calls[:2] == ["cudaSetDevice", "cudaMalloc"]


def test_other_threads_wait_for_the_one_that_holds_the_device(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    thread = threading.Thread(target=device.allocate, args=(16,))
    with device.hold():
        cuda.calls.clear()
        thread.start()
        thread.join(timeout=0.05)
        assert not cuda.calls
    thread.join()
    assert "cudaMalloc" in cuda.calls


def test_memory_that_is_not_there_is_an_engine_error() -> None:
    cuda = FakeCuda(gpu_bytes=8 * 2**20)
    device = CudaDevice(runtime=cuda)
    held = device.allocate(2**20)
    message = (
        r"^no memory for 16.0 MiB on the GPU, 7 of 8 MiB are free: ask for fewer beams, a smaller "
        r"batch or shorter documents$"
    )
    with pytest.raises(EngineError, match=message):
        device.allocate(2**24)
    assert "cudaGetLastError" not in cuda.calls  # nobody reads it
    del held
    device.allocate(8 * 2**20)


def test_any_call_that_fails_is_named_with_its_error(cuda: FakeCuda, device: CudaDevice) -> None:
    cuda.fails["cudaStreamSynchronize"] = CudaError.cudaErrorIllegalAddress
    message = (
        r"^cudaStreamSynchronize failed with cudaErrorIllegalAddress \(text of 700\): start the "
        r"process again, or use a bundle of --target ort$"
    )
    with pytest.raises(EngineError, match=message):
        device.synchronize()


def test_memory_that_is_not_there_is_told_where_the_gpu_does_not_say_how_much_is(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    cuda.fails["cudaMalloc"] = CudaError.cudaErrorMemoryAllocation
    cuda.fails["cudaMemGetInfo"] = CudaError.cudaErrorIllegalAddress
    with pytest.raises(EngineError, match=r"^no memory for 16.0 MiB on the GPU: ask for fewer be"):
        device.allocate(2**24)


def test_a_gpu_whose_state_is_lost_says_so_in_every_call(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    view = view_of(device, np.zeros(4, np.float32))
    cuda.lose()
    message = r" failed with cudaErrorIllegalAddress \(text of 700\): start the process again, or "
    for call in (
        lambda: device.allocate(16),
        lambda: device.upload(np.zeros(4, np.float32), view),
        lambda: device.download(view),
        device.synchronize,
    ):
        with pytest.raises(EngineError, match=message):
            call()


def test_nothing_is_copied_from_or_to_memory_that_is_not_page_locked(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    array = np.arange(3 * 2**20, dtype=np.float32)
    view = view_of(device, array)
    device.upload(array, view)
    device.download(view)
    assert cuda.pageable == 0


def test_other_errors_of_an_allocation_are_named_too(cuda: FakeCuda, device: CudaDevice) -> None:
    cuda.fails["cudaMalloc"] = CudaError.cudaErrorIllegalAddress
    with pytest.raises(EngineError, match=r"^cudaMalloc failed with cudaErrorIllegalAddress \("):
        device.allocate(16)


def test_a_call_that_runs_out_of_memory_says_what_to_ask_for(
    cuda: FakeCuda, device: CudaDevice
) -> None:
    cuda.fails["cudaStreamSynchronize"] = CudaError.cudaErrorMemoryAllocation
    with pytest.raises(EngineError, match=r"\): ask for fewer beams, a smaller batch or shorter d"):
        device.synchronize()


def test_no_gpu_is_an_engine_error(cuda: FakeCuda) -> None:
    cuda.fails["cudaGetDeviceCount"] = CudaError.cudaErrorNoDevice
    message = r"there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it: show it, or use a bundle "
    with pytest.raises(EngineError, match=message):
        CudaDevice(runtime=cuda)


def test_a_gpu_of_a_number_that_is_not_there_is_an_engine_error(cuda: FakeCuda) -> None:
    with pytest.raises(EngineError, match=r"^there is no GPU 2, expected one of 0 to 0$"):
        CudaDevice(ordinal=2, runtime=cuda)


def test_an_old_driver_is_an_engine_error_with_both_versions(cuda: FakeCuda) -> None:
    cuda.fails["cudaGetDeviceCount"] = CudaError.cudaErrorInsufficientDriver
    cuda.driver = 12040
    message = (
        r"the NVIDIA driver is for CUDA 12.4, cuda-bindings for CUDA 13.5: update the driver, or "
        r"install cuda-bindings 12\.x, with all else that is for CUDA, as the extras -cu12 do$"
    )
    with pytest.raises(EngineError, match=message):
        CudaDevice(runtime=cuda)


def test_no_driver_at_all_is_an_engine_error(cuda: FakeCuda) -> None:
    cuda.fails["cudaGetDeviceCount"] = CudaError.cudaErrorInsufficientDriver
    cuda.driver = 0
    message = r"no NVIDIA driver was found: install it, or use a bundle of --target ort$"
    with pytest.raises(EngineError, match=message):
        CudaDevice(runtime=cuda)


def test_bindings_that_raise_for_want_of_a_driver_are_an_engine_error() -> None:
    class Bindings(FakeCuda):
        def cudaGetDeviceCount(self) -> Any:  # noqa: N802
            raise RuntimeError("libcuda.so.1 was not found")

    message = (
        r"^cudaGetDeviceCount cannot be called: libcuda.so.1 was not found: install the NVIDIA "
        r"driver, or use a bundle of --target ort$"
    )
    with pytest.raises(EngineError, match=message):
        CudaDevice(runtime=Bindings())


def test_bindings_that_are_not_installed_are_an_engine_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    message = (
        r"^cuda-bindings is not installed: pip install 'pegasus-edge\[trt\]' \(or \[rtx\], "
        r"\[gpu\]; their twins -cu12 where the driver is for CUDA 12\), or use a bundle of "
        r"--target ort$"
    )
    with pytest.raises(EngineError, match=message):
        CudaDevice()


def real_cuda() -> Any:
    return pytest.importorskip("cuda.bindings.runtime")


def test_the_installed_bindings_say_that_there_is_no_driver() -> None:
    if int(real_cuda().cudaGetDeviceCount()[0]) == 0:
        pytest.skip("this computer has a GPU")
    message = (
        r"^cudaGetDeviceCount failed with cudaError\w+ \(.+\): (no NVIDIA driver was found: |there "
        r"is no NVIDIA GPU|the NVIDIA driver is for CUDA )"
    )
    with pytest.raises(EngineError, match=message):
        CudaDevice()


def test_the_installed_bindings_have_every_name_that_the_stand_in_has() -> None:
    real = real_cuda()
    names = {name for name in dir(FakeCuda) if name.startswith("cuda")}
    assert {name for name in names if not hasattr(real, name)} == set()
    for part in ("cudaError_t", "cudaMemcpyKind", "cudaDeviceAttr", "cudaStreamCaptureMode"):
        used = {name for name in vars(getattr(FakeCuda, part)) if name.startswith("cuda")}
        assert {name for name in used if not hasattr(getattr(real, part), name)} == set()


def test_the_installed_bindings_take_as_many_arguments_as_the_stand_in() -> None:
    real = real_cuda()
    for name, function in vars(FakeCuda).items():
        if not name.startswith("cuda") or not hasattr(function, "__code__"):
            continue
        signature = (getattr(real, name).__doc__ or "").strip().splitlines()[0]
        expected = function.__code__.co_argcount - 1
        arguments = signature.split("(", 1)[1].rsplit(")", 1)[0]
        assert len([x for x in arguments.split(",") if x.strip()]) == expected, signature


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cudaSetDevice", (0,)),
        ("cudaMalloc", (16,)),
        ("cudaMallocHost", (16,)),
        ("cudaMemsetAsync", (0, 0, 16, "stream")),
        ("cudaMemcpyAsync", (0, 0, 16, "cudaMemcpyKind.cudaMemcpyHostToDevice", "stream")),
        (
            "cudaMemcpy2DAsync",
            (0, 8, 0, 8, 8, 2, "cudaMemcpyKind.cudaMemcpyDeviceToDevice", "stream"),
        ),
        (
            "cudaStreamBeginCapture",
            ("stream", "cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal"),
        ),
        ("cudaStreamSynchronize", ("stream",)),
        ("cudaDeviceGetAttribute", ("cudaDeviceAttr.cudaDevAttrComputeCapabilityMajor", 0)),
        ("cudaGetDeviceProperties", (0,)),
    ],
)
def test_the_installed_bindings_take_what_they_are_given(
    name: str, arguments: tuple[int | str, ...]
) -> None:
    runtime = real_cuda()
    if int(runtime.cudaGetDeviceCount()[0]) == 0:
        pytest.skip("this computer has a GPU, and the addresses are not real")
    stream = runtime.cudaStream_t(0)
    found = [
        stream if x == "stream" else attrgetter(x)(runtime) if isinstance(x, str) else x
        for x in arguments
    ]
    with pytest.raises(EngineError, match=f"^{name} failed with cudaError"):
        CudaRuntime()(name, *found)
