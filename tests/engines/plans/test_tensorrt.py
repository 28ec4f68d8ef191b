"""Plans are built, here by TensorRT for RTX, which needs no GPU for that."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engines.tiny_graphs import (
    SIZE,
    write_foreign_node,
    write_product,
    write_reshape_by_input,
)
from pegasus_engines.plans.tensorrt import (
    BuildOptions,
    build_plan,
    check_gpus,
    load_timing_cache,
    serialize_plan,
)
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.gpu import current_capability
from pegasus_runtime.native.tensorrt import Flavour, load_flavour

RTX = BuildOptions(target="trt-rtx", compute_capabilities=("8.9",))
PROFILE: Mapping[str, tuple[int, int, int]] = {"batch": (1, 1, 1), "source": (8, 16, 32)}

no_gpu = pytest.mark.skipif(
    current_capability() is not None, reason="tells what happens where there is no GPU"
)


@pytest.fixture(scope="module")
def rtx() -> Flavour:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    return load_flavour("trt-rtx")


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return write_product(tmp_path / "product.onnx")


def as_tensorrt(rtx: Flavour) -> Flavour:
    """TensorRT for RTX in TensorRT's place: the path is the same, for GPUs of its own choice."""
    return Flavour(target="trt", title="TensorRT", tool="tensorrt", module=rtx.module)


@pytest.mark.parametrize(
    "capabilities", [("8.6",), ("8.9",), ("12.0",), ("8.6", "8.9", "12.0")], ids=", ".join
)
def test_a_plan_is_built_for_gpus_that_are_not_there(
    rtx: Flavour, tmp_path: Path, product: Path, capabilities: tuple[str, ...]
) -> None:
    options = BuildOptions(target="trt-rtx", compute_capabilities=capabilities)
    output = tmp_path / "product.plan"
    static = {"batch": (1, 1, 1), "source": (64, 64, 64)}
    build_plan(product, output, profiles=[PROFILE, static], options=options)
    assert output.stat().st_size > SIZE * SIZE * 4


def test_weights_are_read_from_the_file_beside_the_graph(rtx: Flavour, tmp_path: Path) -> None:
    graph = write_product(tmp_path / "product.onnx", weights="weights.bin")
    assert serialize_plan(rtx, graph, [PROFILE], RTX).nbytes > SIZE * SIZE * 4
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(EngineError, match=r"product\.onnx: TensorRT for RTX .* cannot parse it: "):
        serialize_plan(rtx, graph, [PROFILE], RTX)


def test_all_options_are_taken(rtx: Flavour, tmp_path: Path, product: Path) -> None:
    log = tmp_path / "build.log"
    options = BuildOptions(
        target="trt-rtx",
        compute_capabilities=("8.6",),
        workspace_mib=64,
        log_file=log,
        optimization_level=0,
    )
    serialize_plan(rtx, product, [PROFILE], options)
    before = log.read_text()
    assert "[VERBOSE]" in before
    serialize_plan(rtx, product, [PROFILE], options)
    assert log.read_text().startswith(before)
    assert len(log.read_text()) > len(before)


def test_progress_is_that_of_the_outermost_phase(rtx: Flavour, product: Path) -> None:
    seen: list[tuple[int, int]] = []
    serialize_plan(rtx, product, [PROFILE], RTX, lambda done, total: seen.append((done, total)))
    total = seen[0][1]
    assert seen == [(done, total) for done in range(total + 1)]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_what_progress_raises_ends_the_build(
    rtx: Flavour, product: Path, error: BaseException
) -> None:
    calls = []

    def fail(done: int, total: int) -> None:
        calls.append(done)
        raise error

    with pytest.raises(type(error)) as caught:
        serialize_plan(rtx, product, [PROFILE], RTX, fail)
    assert caught.value is error
    assert calls == [0]
    assert serialize_plan(rtx, product, [PROFILE], RTX).nbytes  # the next build is none the worse


def test_a_plan_is_never_overwritten(rtx: Flavour, tmp_path: Path, product: Path) -> None:
    output = tmp_path / "product.plan"
    output.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        build_plan(product, output, profiles=[PROFILE], options=RTX)
    assert output.read_bytes() == b"mine"


def test_a_node_that_tensorrt_lacks_is_named(rtx: Flavour, tmp_path: Path) -> None:
    graph = write_foreign_node(tmp_path / "foreign.onnx")
    message = r"foreign\.onnx: TensorRT for RTX .* cannot parse it: SkipLayerNormalization 'skip': "
    with pytest.raises(EngineError, match=message) as caught:
        serialize_plan(rtx, graph, [PROFILE], RTX)
    assert "\n" not in str(caught.value)


def test_a_path_that_is_not_utf_8_is_refused(rtx: Flavour, tmp_path: Path, product: Path) -> None:
    graph = tmp_path / "b\udcff.onnx"
    graph.write_bytes(product.read_bytes())
    with pytest.raises(
        EngineError, match="its path is not UTF-8, which TensorRT for RTX needs: re"
    ):
        serialize_plan(rtx, graph, [PROFILE], RTX)


def test_what_is_no_graph_is_refused(rtx: Flavour, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    message = r"text\.onnx: TensorRT for RTX .* cannot parse it: \S+"
    with pytest.raises(EngineError, match=message):
        serialize_plan(rtx, tmp_path / "text.onnx", [PROFILE], RTX)


def test_a_dimension_that_no_profile_has_is_named(rtx: Flavour, tmp_path: Path) -> None:
    graph = write_product(tmp_path / "product.onnx", dim="words")
    message = (
        "input 'x' has the dynamic dimension 'words', the profile has sizes of batch, source: "
        "name it as they are, or add its sizes"
    )
    with pytest.raises(EngineError, match=message):
        serialize_plan(rtx, graph, [PROFILE], RTX)


def test_fixed_dimensions_need_no_sizes(rtx: Flavour, tmp_path: Path) -> None:
    graph = write_product(tmp_path / "product.onnx", dim=8)
    assert serialize_plan(rtx, graph, [{"batch": (1, 2, 4)}], RTX).nbytes


def test_inputs_whose_values_are_sizes_are_refused(rtx: Flavour, tmp_path: Path) -> None:
    graph = write_reshape_by_input(tmp_path / "reshape.onnx")
    message = r"the values of input 'sizes' are sizes of other tensors, .*: make it a constant"
    with pytest.raises(EngineError, match=message):
        serialize_plan(rtx, graph, [PROFILE], RTX)


def test_sizes_that_fall_are_refused(rtx: Flavour, product: Path) -> None:
    message = "TensorRT refuses the profile batch 1, source 32 to 8: expected 0 <= smallest <= best"
    with pytest.raises(EngineError, match=message):
        serialize_plan(rtx, product, [dict(PROFILE) | {"source": (32, 16, 8)}], RTX)


def test_sizes_below_nothing_are_refused(rtx: Flavour, product: Path) -> None:
    message = "TensorRT refuses the profile batch 1, source -8 to 8: expected 0 <= smallest"
    with pytest.raises(EngineError, match=message):
        serialize_plan(rtx, product, [dict(PROFILE) | {"source": (-8, 8, 8)}], RTX)


def test_a_graph_without_profiles_is_refused(rtx: Flavour, product: Path) -> None:
    with pytest.raises(EngineError, match=r"has no optimisation profiles, expected at least one$"):
        serialize_plan(rtx, product, [], RTX)


@no_gpu
def test_a_failed_build_says_why_and_where_to_read_on(
    rtx: Flavour, tmp_path: Path, product: Path
) -> None:
    log = tmp_path / "build.log"
    options = BuildOptions(target="trt-rtx", log_file=log)  # for the GPU at hand
    message = rf"product\.onnx: TensorRT for RTX cannot build it: .*\(all messages: {log}\)$"
    with pytest.raises(EngineError, match=message) as caught:
        serialize_plan(rtx, product, [PROFILE], options)
    assert "[ERROR]" in log.read_text()
    with pytest.raises(EngineError, match=r"cannot build it: .*Error Code 1"):
        serialize_plan(rtx, product, [PROFILE], BuildOptions(target="trt-rtx"))
    del caught  # kept the first builder alive until here: the second build had its own log


@no_gpu
@pytest.mark.parametrize("target", ["trt", "trt-rtx"])
def test_the_gpu_at_hand_has_to_be_there(
    rtx: Flavour, tmp_path: Path, product: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", rtx.module)
    options = BuildOptions(target=target)
    with pytest.raises(EngineError, match="builds for the GPU at hand, and there is none: "):
        build_plan(product, tmp_path / "plan", profiles=[PROFILE], options=options)
    assert not (tmp_path / "plan").exists()


def test_where_no_gpu_is_the_next_step_depends_on_the_target(rtx: Flavour) -> None:
    with pytest.raises(EngineError, match=r"none: name the GPUs .*8\.9, 12\.0, .*-capability$"):
        check_gpus(rtx, BuildOptions(target="trt-rtx"), None)
    message = "none: export with --onnx-only, and build on the device$"
    with pytest.raises(EngineError, match=message):
        check_gpus(as_tensorrt(rtx), BuildOptions(target="trt"), None)


def test_plans_are_for_the_gpus_named_or_the_one_at_hand(rtx: Flavour) -> None:
    assert check_gpus(rtx, RTX, "8.6") == ("8.9",)
    assert check_gpus(rtx, BuildOptions(target="trt-rtx"), "8.6") == ("8.6",)
    assert check_gpus(as_tensorrt(rtx), BuildOptions(target="trt"), "8.7") == ("8.7",)


def test_a_gpu_that_tensorrt_does_not_know_is_refused(rtx: Flavour) -> None:
    options = BuildOptions(target="trt-rtx", compute_capabilities=("8.6", "9.0"))
    message = r"does not build for compute capability 9\.0: it knows 7\.5, 8\.0, 8\.6, 8\.9, 12\.0"
    with pytest.raises(EngineError, match=message):
        check_gpus(rtx, options, None)


def test_tensorrt_keeps_what_it_measured(rtx: Flavour, tmp_path: Path, product: Path) -> None:
    options = BuildOptions(target="trt", timing_cache=tmp_path / "timing.cache")
    plan = serialize_plan(as_tensorrt(rtx), product, [PROFILE], options)
    assert plan.nbytes
    assert (tmp_path / "timing.cache").stat().st_size
    serialize_plan(as_tensorrt(rtx), product, [PROFILE], options)


class ForeignCache:
    """A builder's configuration that refuses every timing cache."""

    def create_timing_cache(self, data: bytes) -> bytes:
        return data

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        return ignore_mismatch


def test_a_timing_cache_of_another_gpu_is_refused(tmp_path: Path) -> None:
    (tmp_path / "timing.cache").write_bytes(b"measured elsewhere")
    message = r"timing\.cache: a timing cache of another TensorRT or GPU: remove it$"
    with pytest.raises(EngineError, match=message):
        load_timing_cache(ForeignCache(), tmp_path / "timing.cache")


def test_a_tensorrt_that_cannot_start_says_so(rtx: Flavour, product: Path) -> None:
    module = ModuleType("tensorrt")
    vars(module).update(vars(rtx.module))

    def no_builder(logger: Any) -> None:
        logger.log(rtx.module.ILogger.Severity.ERROR, "CUDA initialization\nfailure")
        raise TypeError("factory function returned nullptr")

    vars(module)["Builder"] = no_builder
    broken = Flavour(target="trt", title="TensorRT", tool="tensorrt", module=module)
    message = (
        r"^TensorRT .* cannot start: CUDA initialization failure: update the NVIDIA driver, or "
        r"install what is for its version of CUDA$"
    )
    with pytest.raises(EngineError, match=message):
        serialize_plan(broken, product, [PROFILE], BuildOptions(target="trt"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "ort"}, "^target is 'ort', expected trt or trt-rtx$"),
        (
            {"target": "trt-rtx", "compute_capabilities": ("sm89",)},
            r"^compute capabilities are sm89: expected different ones like 8\.9$",
        ),
        (
            {"target": "trt-rtx", "compute_capabilities": ("8.9", "8.9")},
            r"^compute capabilities are 8\.9, 8\.9: expected different ones like 8\.9$",
        ),
        (
            {"target": "trt", "compute_capabilities": ("8.7",)},
            r"^target trt builds for the GPU at hand only, not for 8\.7: export with --onnx-only",
        ),
        (
            {"target": "trt-rtx", "timing_cache": Path("cache")},
            "^target trt-rtx measures nothing while it builds, .*: leave it out$",
        ),
        (
            {"target": "trt", "workspace_mib": 0},
            "^workspace is 0 MiB, expected from 1 to 1048576$",
        ),
        (
            {"target": "trt", "optimization_level": 6},
            "^optimization level is 6, expected 0 to 5$",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        BuildOptions(**options)
