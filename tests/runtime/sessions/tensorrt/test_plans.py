"""Plans of TensorRT: which are loaded, and what those that are not are told.

What only a GPU can show is not tested here; of the installed TensorRT for RTX, that its names are
those of the stand-in, and that it gets as far as it can without one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_stand_ins.tensorrt import (
    DataType,
    FakeTensor,
    Location,
    Severity,
)
from pegasus_runtime.errors import BundleError, EngineError
from pegasus_runtime.native.tensorrt import library_log
from pegasus_runtime.sessions.device.protocol import Graph
from runtime.sessions.plan_setting import PLANS, Setting, tensors


@pytest.fixture(params=["trt", "trt-rtx"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Setting:
    return Setting(tmp_path, request.param)


def test_every_graph_of_the_manifest_is_loaded(setting: Setting) -> None:
    graphs: dict[str, Graph] = setting.load()
    assert set(graphs) == {"encoder", "decoder_step"}
    views = setting.views()
    setting.doubles(graphs["encoder"].prepare(views), views)


def test_a_bundle_without_plans_says_how_to_build_them(setting: Setting) -> None:
    setting.with_plans(version=None, compute_capabilities=())
    folder = re.escape(str(setting.bundle.folder))
    message = rf"^{folder}: no plans were built of its graphs yet: run pegasus-build {folder}$"
    with pytest.raises(EngineError, match=message):
        setting.load()


def test_a_bundle_of_another_target_is_an_engine_error(setting: Setting) -> None:
    manifest = replace(setting.bundle.manifest, target="ort", plans=None)
    setting.bundle = replace(setting.bundle, manifest=manifest)
    message = r": target ort has no plans of TensorRT: export with --target trt or trt-rtx$"
    with pytest.raises(EngineError, match=message):
        setting.load()


@pytest.mark.parametrize("version", ["9.9.9.9", "1.7.1", "10.3.0.1"])
def test_plans_of_another_version_are_not_even_read(setting: Setting, version: str) -> None:
    setting.with_plans(version=version)
    (setting.bundle.folder / "encoder.plan").unlink()
    name, installed = setting.library.__name__, setting.library.__version__
    message = (
        rf": its plans were built with {name} {version}, installed is {installed}: install that "
        r"version, or build them again with pegasus-build, from the bundle of graphs"
    )
    with pytest.raises(EngineError, match=message):
        setting.load()


def test_plans_for_other_gpus_are_not_even_read(setting: Setting) -> None:
    setting.with_plans(compute_capabilities=("8.6", "12.0"))
    (setting.bundle.folder / "encoder.plan").unlink()
    hint = (
        "export again with --compute-capability 8.9$"
        if setting.library.is_rtx
        else "build them again on this machine with pegasus-build, from the bundle"
    )
    message = rf"plans are for GPUs of compute capability 8.6, 12.0, NVIDIA Fake has 8.9: {hint}"
    with pytest.raises(EngineError, match=message):
        setting.load()


def test_a_plan_that_tensorrt_cannot_load_is_an_engine_error_with_its_words(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    del setting.library.engines[PLANS["encoder"]]
    message = (
        r"encoder.plan: TensorRT cannot load it: Error Code 1: Serialization \(magic tag\): build "
        r"it again with pegasus-build, from the bundle of graphs"
    )
    with pytest.raises(EngineError, match=message):
        setting.load()
    assert [record.getMessage() for record in caplog.records] == [
        f"{setting.library.__name__}: an engine of another GPU"
    ]


def test_a_tensorrt_that_cannot_start_is_an_engine_error(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_runtime(logger: Any) -> None:
        logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(setting.library, "Runtime", no_runtime)
    message = (
        rf"^{setting.library.__name__} {setting.library.__version__} cannot start: CUDA "
        r"initialization failure with error: 35: update the NVIDIA driver, or install what is for "
        r"its version of CUDA$"
    )
    with pytest.raises(EngineError, match=message):
        setting.load()


def test_an_empty_plan_is_an_engine_error(setting: Setting) -> None:
    (setting.bundle.folder / "encoder.plan").write_bytes(b"")
    message = r"encoder.plan: cannot be read: cannot mmap an empty file: copy the bundle again$"
    with pytest.raises(EngineError, match=message):
        setting.load()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"z": FakeTensor("INPUT", DataType.FLOAT, (1,))}, "has z"),
        ({"n": FakeTensor("INPUT", DataType.INT32, (1,))}, r"input n is int32 \[1\]"),
        ({"n": FakeTensor("INPUT", DataType.FP8, (1,))}, r"input n is FP8 \[1\]"),
        ({"n": FakeTensor("OUTPUT", DataType.INT64, (1,))}, "n is an output"),
        ({"y": FakeTensor("OUTPUT", DataType.FLOAT, (-1, 5))}, r"output y is float32 \[-1, 5\]"),
        ({"y": FakeTensor("OUTPUT", DataType.FLOAT, (4,))}, r"output y is float32 \[4\]"),
        (
            {"n": FakeTensor("INPUT", DataType.INT64, (1,), location=Location.HOST)},
            "n has to be in the computer's memory",
        ),
    ],
)
def test_a_plan_unlike_the_manifest_is_a_bundle_error(
    setting: Setting, changes: dict[str, FakeTensor], problem: str
) -> None:
    setting.add("encoder", tensors=tensors(**changes))
    message = (
        rf"encoder.plan: {problem}, unlike graph encoder of the manifest: export the checkpoint ag"
    )
    with pytest.raises(BundleError, match=message):
        setting.load()


def test_a_plan_that_lacks_an_input_is_a_bundle_error(setting: Setting) -> None:
    found = tensors()
    del found["n"]
    setting.add("encoder", tensors=found)
    with pytest.raises(BundleError, match=r"encoder.plan: lacks n, unlike graph encoder of the ma"):
        setting.load()


def test_sizes_that_a_plan_fixes_or_leaves_open_fit_the_manifest(setting: Setting) -> None:
    setting.add(
        "encoder",
        tensors=tensors(
            x=FakeTensor("INPUT", DataType.FLOAT, (2, 4)),
            y=FakeTensor("OUTPUT", DataType.FLOAT, (2, -1)),
        ),
    )
    views = setting.views()
    setting.doubles(setting.load()["encoder"].prepare(views), views)


def test_a_library_that_is_not_installed_is_an_engine_error(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = "trt" if setting.bundle.manifest.target == "trt" else "rtx"
    monkeypatch.setitem(sys.modules, setting.library.__name__, None)
    setting.library = None
    message = (
        rf"^TensorRT.* cannot be imported \(.*\): pip install 'pegasus-edge\[{extra}\]'.*, or use "
        r"a bundle of --target ort$"
    )
    with pytest.raises(EngineError, match=message):
        setting.load()


def test_a_library_that_says_nothing_is_quoted_as_such(setting: Setting) -> None:
    setting.load()
    setting.library.say(Severity.ERROR, "once")
    log = library_log(setting.library)
    assert log.take_error() == "once"
    assert log.take_error() == f"{setting.library.__name__} gave no reason"


def test_importing_the_modules_loads_neither_tensorrt_nor_cuda() -> None:
    script = "import sys, pegasus_runtime.sessions.tensorrt.plans; print(*sorted(sys.modules))"
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    roots = {name.split(".")[0] for name in found}
    assert "pegasus_runtime" in roots
    assert not roots & {"tensorrt", "tensorrt_rtx", "cuda", "torch", "onnxruntime"}


def build_real_plan(trt: Any) -> bytes:
    """Of a network with a dynamic input, for one GPU that need not be here."""
    builder = trt.Builder(library_log(trt))
    strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)
    x = network.add_input("x", trt.float32, (-1, 4))
    y = network.add_elementwise(x, x, trt.ElementWiseOperation.SUM).get_output(0)
    y.name = "y"
    network.mark_output(y)
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM89, 0)
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 4), (2, 4), (4, 4))
    config.add_optimization_profile(profile)
    return bytes(builder.build_serialized_network(network, config))


def test_the_installed_tensorrt_takes_our_log_and_a_mapped_plan(setting: Setting) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    if int(pytest.importorskip("cuda.bindings.runtime").cudaGetDeviceCount()[0]) == 0:
        pytest.skip("this computer has a GPU")
    setting.library = trt
    setting.with_plans(version=trt.__version__)
    (setting.bundle.folder / "encoder.plan").write_bytes(build_real_plan(trt))
    message = r"encoder.plan: TensorRT cannot load it: .*Error Code 1: Cuda Runtime .*: build it ag"
    with pytest.raises(EngineError, match=message):
        setting.load()


NAMES = {
    "ICudaEngine": (
        "create_execution_context create_runtime_config get_device_memory_size_for_profile_v2 "
        "get_tensor_dtype get_tensor_location get_tensor_mode get_tensor_name "
        "get_tensor_profile_shape get_tensor_shape num_io_tensors num_optimization_profiles"
    ),
    "IExecutionContext": (
        "execute_async_v3 get_tensor_shape is_stream_capturable set_device_memory set_input_shape "
        "set_optimization_profile_async set_tensor_address"
    ),
    "IRuntimeConfig": (
        "create_runtime_cache dynamic_shapes_kernel_specialization_strategy "
        "set_execution_context_allocation_strategy set_runtime_cache"
    ),
    "IRuntimeCache": "deserialize serialize",
    "Runtime": "deserialize_cuda_engine",
    "DataType": "BF16 BOOL FLOAT HALF INT32 INT64 INT8 UINT8",
    "TensorIOMode": "INPUT OUTPUT",
    "TensorLocation": "DEVICE HOST",
    "ExecutionContextAllocationStrategy": "USER_MANAGED",
    "DynamicShapesKernelSpecializationStrategy": "EAGER LAZY",
    "ILogger": "ERROR INTERNAL_ERROR WARNING log",
}


@pytest.mark.parametrize("owner", NAMES)
def test_the_installed_tensorrt_has_the_names_that_are_used(owner: str) -> None:
    found = getattr(pytest.importorskip("tensorrt_rtx"), owner)
    assert [name for name in NAMES[owner].split() if not hasattr(found, name)] == []
