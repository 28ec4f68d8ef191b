"""Which way the operator comes into TensorRT, on stand-ins; TensorRT for RTX takes none."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pegasus_plugins import ways
from pegasus_plugins.kernel_file import write_kernel_file
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.python_plugin import register_python_plugin
from pegasus_plugins.ways import (
    LIBRARY_VARIABLE,
    PluginParts,
    PluginWays,
    Way,
    choose_way,
    find_plugin_library,
    probe_ways,
    register_plugin,
)
from plugins.fake_plugin_module import FakePluginModule
from plugins.fake_tensorrt import FakeRegistry, FakeTensorRT
from plugins.kernel_images import HALF, kernel_file


@pytest.fixture(autouse=True)
def _only_what_a_test_brings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    monkeypatch.setattr(ways, "_LIBRARY_FILE", tmp_path / "lib" / "missing.so")
    for name in ("triton", "cuda", "cuda.bindings", "cuda.bindings.driver"):
        module: Any = FakeTensorRT(name)
        module.__spec__ = object()
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def parts(tmp_path: Path) -> PluginParts:
    """All three ways are open."""
    library, kernels = tmp_path / "plugin.so", tmp_path / "test.kernels"
    library.write_bytes(b"a library")
    write_kernel_file(kernels, kernel_file(HALF))
    return PluginParts(plugin_library=library, kernels=kernels)


def test_the_library_comes_first_then_python_then_aot(parts: PluginParts) -> None:
    found = probe_ways(FakeTensorRT(), parts)
    assert found.usable == ("library", "python", "aot")
    assert not found.missing
    assert choose_way(found) == "library"
    without_library = probe_ways(FakeTensorRT(), PluginParts(kernels=parts.kernels))
    assert choose_way(without_library) == "python"
    assert choose_way(probe_ways(FakeTensorRT())) == "aot"


@pytest.mark.parametrize("asked", ["library", "python", "aot"])
def test_a_way_that_is_asked_for_is_taken(parts: PluginParts, asked: Way) -> None:
    assert choose_way(probe_ways(FakeTensorRT(), parts), asked) == asked


def test_what_tensorrt_or_python_lack_closes_a_way(
    parts: PluginParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = probe_ways(FakeTensorRT().without("IPluginV3"), parts).missing
    assert lacks == {
        "python": "tensorrt has no IPluginV3: install TensorRT 10 or later, pip install "
        "'pegasus-edge[trt]'"
    }
    lacks = probe_ways(FakeTensorRT().without("QuickPluginCreationRequest"), parts).missing
    assert lacks == {"aot": "tensorrt has no ahead-of-time plugins: install TensorRT 10.9 or later"}
    monkeypatch.setitem(sys.modules, "triton", None)
    assert probe_ways(FakeTensorRT(), parts).missing == {
        "aot": "triton is not installed: pip install 'pegasus-edge[plugin]' (on Linux)"
    }
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.delitem(sys.modules, "cuda.bindings.driver")
    lacks = probe_ways(FakeTensorRT(), parts).missing
    assert lacks["python"] == "cuda-bindings is not installed: pip install 'pegasus-edge[trt]'"


def test_each_closed_way_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    library = FakeTensorRT()
    monkeypatch.delattr(type(library.registry), "load_library")
    found = probe_ways(library)
    assert found.missing["library"] == "tensorrt loads no plugins: install TensorRT 10 or later"
    assert found.missing["aot"] == (
        "cuda-bindings is not installed: pip install 'pegasus-edge[trt]'"
    )
    message = (
        r"^TensorRT cannot be given pegasus::BlockSparseAttention: library: .*; python: cuda-bind"
        r"ings .*; aot: "
    )
    with pytest.raises(PluginError, match=message):
        choose_way(found)


def test_a_closed_way_cannot_be_asked_for() -> None:
    found = probe_ways(FakeTensorRT())
    message = (
        r"^way library cannot be used: the C\+\+ plugin is not built: build it and set "
        r"PEGASUS_PLUGIN_LIBRARY to its path$"
    )
    with pytest.raises(PluginError, match=message):
        choose_way(found, "library")
    message = (
        r"^way python cannot be used: no kernel file is given: compile one with python -m "
        r"pegasus_plugins\.compile_kernels$"
    )
    with pytest.raises(PluginError, match=message):
        choose_way(found, "python")


def test_a_way_that_there_is_not_is_refused() -> None:
    nothing = PluginWays(usable=(), missing={}, plugin_library=None)
    asked: Any = "jit"
    message = r"^there is no way 'jit', expected one of library, python, aot$"
    with pytest.raises(PluginError, match=message):
        choose_way(nothing, asked)


def test_the_library_is_named_or_of_the_environment_or_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [tmp_path / name for name in ("named.so", "variable.so", "package.so")]
    for file in files:
        file.touch()
    assert find_plugin_library() is None
    monkeypatch.setattr(ways, "_LIBRARY_FILE", files[2])
    assert find_plugin_library() == files[2]
    monkeypatch.setenv(LIBRARY_VARIABLE, str(files[1]))
    assert find_plugin_library() == files[1]
    assert find_plugin_library(files[0]) == files[0]


def test_a_library_that_is_named_has_to_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.so"
    message = r"missing\.so is not there: build the C\+\+ plugin, or name another file$"
    with pytest.raises(PluginError, match=message):
        find_plugin_library(missing)
    monkeypatch.setenv(LIBRARY_VARIABLE, str(missing))
    message = r"missing\.so is not there, which PEGASUS_PLUGIN_LIBRARY names: build the C\+\+ "
    with pytest.raises(PluginError, match=message):
        find_plugin_library()


def test_a_library_is_loaded_once(parts: PluginParts, tmp_path: Path) -> None:
    library = FakeTensorRT()
    library.registry.libraries.add(str(parts.plugin_library))
    assert register_plugin(library, parts) == "library"
    assert register_plugin(library, parts, "library") == "library"
    assert library.registry.loaded == [str(parts.plugin_library)]
    other = tmp_path / "other.so"
    other.touch()
    message = r"^tensorrt has loaded .*plugin\.so already, it cannot load .*other\.so too: start "
    with pytest.raises(PluginError, match=message):
        register_plugin(library, PluginParts(plugin_library=other))


class _SlowRegistry(FakeRegistry):
    """Which gives another thread the time to come in between."""

    def __init__(self) -> None:
        super().__init__()
        self._others = threading.Barrier(2)

    def _wait(self) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            self._others.wait(timeout=0.05)

    def register_creator(self, creator: Any, plugin_namespace: str) -> bool:
        self._wait()
        return super().register_creator(creator, plugin_namespace)

    def load_library(self, plugin_path: str) -> object | None:
        self._wait()
        return super().load_library(plugin_path)


@pytest.mark.parametrize("way", ["library", "python"])
def test_two_threads_that_load_at_once_register_once(parts: PluginParts, way: Way) -> None:
    library = FakeTensorRT()
    library.registry = _SlowRegistry()
    library.registry.libraries.add(str(parts.plugin_library))
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(register_plugin, library, parts, way) for _ in range(2)]
    assert [call.result() for call in calls] == [way, way]
    assert len(library.registry.loaded) + len(library.registry.creators) == 1


def test_kernels_that_two_threads_add_at_once_are_all_there(tmp_path: Path) -> None:
    library = FakeTensorRT()
    library.registry = _SlowRegistry()
    variants = [replace(HALF, head_dim=head_dim) for head_dim in (32, 64)]
    files = [tmp_path / f"{variant.head_dim}.kernels" for variant in variants]
    for file, variant in zip(files, variants, strict=True):
        write_kernel_file(file, kernel_file(variant))
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(register_python_plugin, library, file) for file in files]
    assert [call.result() for call in calls] == [None, None]
    assert len(library.registry.creators) == 1


def test_a_library_of_another_tensorrt_says_so(parts: PluginParts) -> None:
    message = (
        r"plugin\.so: tensorrt 10\.16\.1 did not load it: build it for this version of TensorRT, "
        r"or bring the plugin in from one place only$"
    )
    with pytest.raises(PluginError, match=message):
        register_plugin(FakeTensorRT(), parts)


def test_the_python_plugin_is_registered_once(parts: PluginParts) -> None:
    library = FakeTensorRT()
    assert register_plugin(library, parts, "python") == "python"
    assert register_plugin(library, parts) == "python"
    assert len(library.registry.creators) == 1


def test_the_aot_plugin_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    library, module = FakeTensorRT(), FakePluginModule()
    monkeypatch.setitem(sys.modules, "tensorrt", library)
    monkeypatch.setitem(sys.modules, "tensorrt.plugin", module)
    parts = PluginParts(with_plan=True)
    assert register_plugin(library, parts) == "aot"
    assert register_plugin(library, parts) == "aot"
    assert module.definitions["pegasus::BlockSparseAttention"].tensors[-1] == "plan"


def test_a_process_keeps_to_one_way(parts: PluginParts) -> None:
    library = FakeTensorRT()
    register_plugin(library, parts, "python")
    message = (
        r"^tensorrt was given pegasus::BlockSparseAttention by way python, it cannot be given by "
        r"aot in the same process: start another$"
    )
    with pytest.raises(PluginError, match=message):
        register_plugin(library, parts, "aot")


def test_tensorrt_for_rtx_takes_no_plugins() -> None:
    library = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed")
    message = r"^tensorrt_rtx takes no plugins: export for --target trt, or without the plugin$"
    with pytest.raises(PluginError, match=message):
        probe_ways(library)


def test_a_tensorrt_without_a_registry_takes_no_plugins() -> None:
    message = r"^tensorrt has no plugin registry: install the full TensorRT, pip install "
    with pytest.raises(PluginError, match=message):
        probe_ways(FakeTensorRT().without("get_plugin_registry"))


def test_importing_the_ways_imports_nothing_heavy() -> None:
    heavy = "('tensorrt', 'tensorrt_rtx', 'triton', 'torch', 'cuda')"
    program = (
        "import sys, pegasus_plugins.ways\n"
        f"sys.exit(', '.join(x for x in {heavy} if x in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
