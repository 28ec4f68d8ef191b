"""TensorRT's two libraries, found or missed, and the one log that each has."""

import contextlib
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace

import pytest

from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.tensorrt import library_log, load_flavour


def library() -> ModuleType:
    module = ModuleType("tensorrt")
    vars(module).update({"__version__": "10.3.0", "ILogger": object})
    return module


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


def test_threads_that_load_at_once_share_a_log() -> None:
    others = threading.Barrier(2)

    class Logger:
        def __init__(self) -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                others.wait(timeout=0.05)  # for another thread to come in between

    module = library()
    vars(module)["ILogger"] = Logger
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(library_log, [module, module])
    assert first is second


def test_builds_and_runs_share_a_log_whose_sink_takes_all_while_it_is_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, said = library(), list[tuple[str, str]]()
    log = library_log(module)
    assert log is library_log(module)
    log.sink = lambda severity, message: said.append((severity, message))
    log.log(SimpleNamespace(name="ERROR"), "of a\n build")
    log.sink = None
    with caplog.at_level(logging.WARNING, "pegasus_runtime.native.tensorrt"):
        log.log(SimpleNamespace(name="WARNING"), "of a\n run")
    assert said == [("ERROR", "of a\n build")]
    assert [record.getMessage() for record in caplog.records] == ["tensorrt: of a run"]
    assert log.take_error() == "tensorrt gave no reason"
