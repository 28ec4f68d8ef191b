"""Launches, on a stand-in for CUDA's driver: what a kernel is given, and in which order."""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import replace
from typing import Any

import pytest

from pegasus_plugins.cuda_calls import CudaCalls
from pegasus_plugins.driver import (
    AttentionLauncher,
    AttentionMemory,
    AttentionShape,
    capability_to_build_for,
    current_gpu,
)
from pegasus_plugins.kernel_file import ATTEND, COMBINE, KernelFile, KernelFileError
from pegasus_plugins.launch import plan_launch, workspace_limit
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.specification import AttentionSpec, SpecificationError
from plugins.fake_driver import FakeDriver, Result
from plugins.kernel_images import HALF, PLANNED, image, kernel_file

SPEC = AttentionSpec(num_heads=4, block_size=64, num_random_blocks=3, longest_full=704, scale=0.125)
LONG = AttentionShape(variant=HALF, batch=1, length=4096)
MEMORY = AttentionMemory(
    query=0x1000, key=0x2000, value=0x3000, key_mask=0x4000, output=0x5000, workspace=0x7000
)
STREAM = 77


def test_a_long_source_is_split_and_combined() -> None:
    driver = FakeDriver()
    kernels = kernel_file(HALF, registers=152)  # of which three programs fit on an Orin's
    AttentionLauncher(kernels, driver=driver).launch(SPEC, LONG, MEMORY, STREAM)
    planned = plan_launch(
        SPEC, batch=1, length=4096, head_dim=64, tile_rows=32, num_sms=16, programs_per_sm=3
    )
    assert planned.num_splits == 3
    attend, combine = driver.launched
    assert (attend.kernel, combine.kernel) == (ATTEND, COMBINE)
    assert attend.grid == (planned.num_programs, 1, 1)
    assert combine.grid == (planned.combine_programs, 1, 1)
    assert attend.block == combine.block == (128, 1, 1)
    assert (attend.shared_bytes, combine.shared_bytes) == (40960, 512)
    assert attend.stream == combine.stream == STREAM
    bias = pytest.approx(math.log(4))
    pointers = (0x1000, 0x2000, 0x3000, 0x4000)
    assert attend.values == (*pointers, 4096, 4, 704, 0, 3, 0.125, bias, 0x5000, 0x7000)
    assert attend.types == (*["void_p"] * 4, *["int"] * 5, *["float"] * 2, *["void_p"] * 2)
    assert combine.values == (0x7000, 0x4000, 4096, 4, 3, 0x5000)
    assert combine.types == ("void_p", "void_p", "int", "int", "int", "void_p")


def test_a_plan_is_passed_behind_the_mask_and_replaces_the_bias() -> None:
    driver = FakeDriver()
    shape = AttentionShape(variant=PLANNED, batch=2, length=1024, plan_rows=4 * 62)
    memory = replace(MEMORY, plan=0x6000)
    AttentionLauncher(kernel_file(PLANNED), driver=driver).launch(SPEC, shape, memory, STREAM)
    values, types = driver.launched[0].values, driver.launched[0].types
    assert values[:9] == (0x1000, 0x2000, 0x3000, 0x4000, 0x6000, 1024, 4, 704, 62)
    assert values[10:12] == (0.125, 0.0)
    assert types[:6] == (*["void_p"] * 5, "int")


def test_what_is_not_split_needs_no_workspace_and_no_second_kernel() -> None:
    driver = FakeDriver()
    launcher = AttentionLauncher(kernel_file(HALF), driver=driver)
    shape = replace(LONG, length=700)
    assert launcher.workspace_bytes(SPEC, shape) == 0
    launcher.launch(SPEC, shape, replace(MEMORY, workspace=0), STREAM)
    (attend,) = driver.launched
    assert attend.values[8] == 1
    assert attend.values[-1] == 0


def test_an_engines_workspace_is_for_the_largest_gpu_and_the_largest_tiles() -> None:
    driver = FakeDriver()
    driver.num_devices = 2  # of 16 and 32 multiprocessors
    images = [image(ATTEND, HALF), image(ATTEND, PLANNED, tile_rows=64)]
    launcher = AttentionLauncher(KernelFile(compiler="a test", images=images), driver=driver)
    assert launcher.workspace_rows(64) == 32 * 64
    driver.has_driver = False
    assert launcher.workspace_rows(64) == 256 * 64
    message = r"^no kernel has blocks of 32: compile one with python -m pegasus_plugins\."
    with pytest.raises(KernelFileError, match=message):
        launcher.workspace_rows(32)


def test_a_smaller_workspace_splits_less() -> None:
    driver = FakeDriver()
    launcher = AttentionLauncher(kernel_file(HALF, registers=152), driver=driver)
    limit = workspace_limit(head_dim=64, tile_rows=launcher.workspace_rows(64), num_sms=1)
    assert 0 < launcher.workspace_bytes(SPEC, LONG) <= limit
    for rows, num_splits in [(16 * 32, 3), (1000 * 32, 3), (11 * 32, 2), (0, 1)]:
        launcher.launch(SPEC, LONG, MEMORY, STREAM, workspace_rows=rows)
        assert [x for x in driver.launched if x.kernel == ATTEND][-1].values[8] == num_splits


@pytest.mark.parametrize("shape", [replace(LONG, batch=0), replace(LONG, length=0)])
def test_nothing_is_launched_for_an_empty_batch(shape: AttentionShape) -> None:
    driver = FakeDriver()
    AttentionLauncher(kernel_file(HALF), driver=driver).launch(SPEC, shape, MEMORY, STREAM)
    assert not driver.launched


def test_each_kernel_is_loaded_once_per_context() -> None:
    driver = FakeDriver()
    launcher = AttentionLauncher(kernel_file(HALF), driver=driver)
    launcher.prepare(HALF)
    assert driver.functions == [ATTEND, COMBINE]
    launcher.launch(SPEC, LONG, MEMORY, STREAM)
    assert driver.functions == [ATTEND, COMBINE]
    driver.context = 12
    launcher.launch(SPEC, LONG, MEMORY, STREAM)
    assert driver.functions == [ATTEND, COMBINE, ATTEND, COMBINE]


def test_only_shared_memory_beyond_48_kib_is_asked_for() -> None:
    driver = FakeDriver()
    for size in (48 * 1024, 48 * 1024 + 1):
        AttentionLauncher(kernel_file(HALF, shared_bytes=size), driver=driver).prepare(HALF)
    assert driver.shared_bytes == {2: 48 * 1024 + 1, 3: 48 * 1024 + 1}


def test_ptx_ends_in_one_zero_and_a_cubin_stays_as_it_is() -> None:
    driver = FakeDriver()
    for kind, code in [("ptx", b"text"), ("ptx", b"text\0"), ("cubin", b"binary")]:
        AttentionLauncher(kernel_file(HALF, kind=kind, code=code), driver=driver).prepare(HALF)
    assert driver.loaded == [b"text\0"] * 4 + [b"binary"] * 2


def test_a_gpu_without_kernels_says_how_to_compile_them() -> None:
    launcher = AttentionLauncher(kernel_file(HALF), driver=FakeDriver((12, 0)))
    with pytest.raises(KernelFileError, match=r"^no kernel for compute capability 12\.0, float16"):
        launcher.launch(SPEC, LONG, MEMORY, STREAM)


def test_kernels_of_different_tiles_are_refused() -> None:
    images = [image(ATTEND, HALF), image(COMBINE, HALF, tile_rows=64)]
    launcher = AttentionLauncher(KernelFile(compiler="a test", images=images), driver=FakeDriver())
    message = r"^combine_splits computes 64 rows per program, attend_blocks 32: compile both with "
    with pytest.raises(KernelFileError, match=message):
        launcher.launch(SPEC, LONG, MEMORY, STREAM)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            replace(LONG, variant=replace(HALF, block_size=32)),
            r"^the kernel is for blocks of 32, block_size is 64$",
        ),
        (replace(LONG, variant=PLANNED, plan_rows=4 * 61), r"^the plan has 61 rows per head, "),
    ],
)
def test_shapes_that_the_operator_does_not_take_are_refused(
    shape: AttentionShape, message: str
) -> None:
    launcher = AttentionLauncher(kernel_file(HALF, PLANNED), driver=FakeDriver())
    with pytest.raises(SpecificationError, match=message):
        launcher.launch(SPEC, shape, MEMORY, STREAM)


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        ({"key": 0x2008}, r"^key is at address 0x2008, expected a multiple of 16 and not 0$"),
        ({"workspace": 0}, r"^workspace is at address 0x0, expected a multiple of 16 and not 0$"),
    ],
)
def test_memory_that_is_missing_or_not_aligned_is_refused(
    memory: dict[str, int], message: str
) -> None:
    driver = FakeDriver()
    launcher = AttentionLauncher(kernel_file(HALF), driver=driver)
    with pytest.raises(PluginError, match=message):
        launcher.launch(SPEC, LONG, replace(MEMORY, **memory), STREAM)
    assert not driver.launched


def test_a_call_that_fails_says_which_and_why() -> None:
    driver = FakeDriver()
    driver.failing = "cuModuleLoadData"
    message = r"^cuModuleLoadData failed with CUDA_ERROR_INVALID_VALUE \(invalid argument\)$"
    with pytest.raises(PluginError, match=message):
        AttentionLauncher(kernel_file(HALF), driver=driver).prepare(HALF)


def test_a_driver_that_is_too_old_for_a_kernel_is_told_which_it_needs() -> None:
    driver = FakeDriver()
    kernels = kernel_file(HALF, least_driver=12080)
    message = (
        r"^the cubin of attend_blocks for compute capability 8\.7 needs a driver of CUDA 12\.8, "
        r"this one is of CUDA 12\.6: update the driver$"
    )
    with pytest.raises(PluginError, match=message):
        AttentionLauncher(kernels, driver=driver).prepare(HALF)
    assert not driver.loaded
    driver.version = 12080
    AttentionLauncher(kernels, driver=driver).prepare(HALF)
    assert len(driver.loaded) == 2


@pytest.mark.parametrize(
    "refusal", [Result.CUDA_ERROR_INVALID_IMAGE, Result.CUDA_ERROR_UNSUPPORTED_PTX_VERSION]
)
def test_an_image_that_the_driver_refuses_says_what_to_do(refusal: Result) -> None:
    """Of a file that does not say which driver it needs."""
    driver = FakeDriver()
    driver.refusal = refusal
    message = (
        rf"^cuModuleLoadData failed with {refusal.name} \(.*\): a driver of CUDA 12\.6 does not "
        r"take the ptx of attend_blocks for compute capability 8\.7: update it, or compile the "
        r"kernels again with python -m pegasus_plugins\.compile_kernels$"
    )
    with pytest.raises(PluginError, match=message):
        AttentionLauncher(kernel_file(HALF, kind="ptx"), driver=driver).prepare(HALF)


def test_a_machine_without_a_driver_is_told_so() -> None:
    driver = FakeDriver()
    driver.has_driver = False
    message = r"^cuCtxGetCurrent cannot be called: no driver was found: install the NVIDIA driver$"
    with pytest.raises(PluginError, match=message):
        AttentionLauncher(kernel_file(HALF), driver=driver).gpu()


def test_a_thread_without_a_context_is_told_so() -> None:
    driver = FakeDriver()
    driver.context = 0
    message = r"^no CUDA context is current on this thread: initialise the GPU first$"
    with pytest.raises(PluginError, match=message):
        AttentionLauncher(kernel_file(HALF), driver=driver).gpu()


def test_a_thread_without_a_context_can_prepare_what_the_launch_loads_later() -> None:
    """As a build's worker thread may be: TensorRT calls configure_plugin there."""
    driver = FakeDriver()
    driver.context = 0
    launcher = AttentionLauncher(kernel_file(HALF), driver=driver)
    launcher.prepare(HALF)
    assert not driver.loaded
    message = (
        r"^no kernel for any compute capability, bfloat16, .* \(there is one for no GPU\): compile "
        r"it with python -m pegasus_plugins\.compile_kernels$"
    )
    with pytest.raises(KernelFileError, match=message):
        launcher.prepare(PLANNED)
    driver.context = 11
    launcher.launch(SPEC, LONG, MEMORY, STREAM)
    assert driver.functions == [ATTEND, COMBINE]


def test_a_machine_without_a_driver_can_prepare_too() -> None:
    driver = FakeDriver()
    driver.has_driver = False
    AttentionLauncher(kernel_file(HALF), driver=driver).prepare(HALF)


def test_a_thread_without_a_context_builds_for_the_first_gpu() -> None:
    driver = FakeDriver((9, 0))
    assert capability_to_build_for(CudaCalls(driver)) == "9.0"
    driver.context = 0
    assert capability_to_build_for(CudaCalls(driver)) == "9.0"
    driver.failing = "cuInit"
    with pytest.raises(PluginError, match=r"^cuInit failed with CUDA_ERROR_INVALID_VALUE "):
        capability_to_build_for(CudaCalls(driver))


def test_without_cuda_bindings_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    message = r"^cuda-bindings is not installed: pip install 'pegasus-edge\[trt\]'$"
    with pytest.raises(PluginError, match=message):
        current_gpu()


@pytest.mark.parametrize("name", [x for x in dir(FakeDriver) if x.lower().startswith("cu")])
def test_the_stand_in_has_names_of_the_driver(name: str) -> None:
    if importlib.util.find_spec("cuda") is None:
        pytest.skip("cuda-bindings is not installed")
    driver: Any = pytest.importorskip("cuda.bindings.driver")
    found = getattr(driver, name)
    if isinstance(getattr(FakeDriver, name), type):
        members = {x.name for x in getattr(FakeDriver, name)}
        assert members <= set(found.__members__)
