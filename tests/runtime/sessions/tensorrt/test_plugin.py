"""What a plan calls is made known to TensorRT before the plan is loaded, or the user is told."""

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pegasus_plugins.kernel_file import KernelFile, write_kernel_file
from pegasus_runtime.bundle import FileRecord, PluginSpec
from pegasus_runtime.errors import EngineError
from pegasus_runtime.sessions.tensorrt.plugin import bring_plugin
from runtime.sessions.plan_setting import Setting

KERNELS = "a.kernels"
VARIABLE = "PEGASUS_PLUGIN_LIBRARY"


class Registry:
    """TensorRT's, as far as a library is concerned."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load_library(self, path: str) -> object | None:
        real = str(Path(path).resolve())  # it may be a path that is good for now only
        self.loaded.append(real)
        return None if real.endswith("refused.so") else object()


class Rig:
    """A bundle of plans that call a plugin, and a TensorRT that takes one."""

    def __init__(self, folder: Path) -> None:
        self.setting = Setting(folder, "trt")
        self.folder = folder
        self.registry = Registry()
        self.library: Any = self.setting.library
        self.library.get_plugin_registry = lambda: self.registry
        write_kernel_file(folder / KERNELS, KernelFile(compiler="none", images=[]))

    def plugin(self, **changes: Any) -> PluginSpec:
        plugin = PluginSpec(operator="pegasus::BlockSparseAttention", version="1", kernels=KERNELS)
        self.setting.with_plans(plugin=replace(plugin, **changes))
        manifest = self.setting.bundle.manifest
        record = FileRecord(bytes=(self.folder / KERNELS).stat().st_size, sha256="0" * 64)
        files = {**manifest.files, KERNELS: record}
        self.setting.bundle = replace(self.setting.bundle, manifest=replace(manifest, files=files))
        plans = self.setting.bundle.manifest.plans
        assert plans is not None
        assert plans.plugin is not None
        return plans.plugin

    def of_library(self, content: bytes, name: str = "liba.so") -> PluginSpec:
        digest = hashlib.sha256(content).hexdigest()
        return self.plugin(way="library", library=name, library_sha256=digest)

    def bring(self, plugin: PluginSpec | None) -> None:
        bring_plugin(self.setting.bundle, plugin, self.library)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.delenv(VARIABLE, raising=False)
    return Rig(tmp_path)


@pytest.mark.parametrize("way", [None, "aot"])
def test_plans_that_call_none_or_hold_it_need_nothing(rig: Rig, way: str | None) -> None:
    rig.bring(None if way is None else rig.plugin(way=way))
    assert rig.registry.loaded == []


def test_the_library_that_plans_were_built_with_is_loaded_before_them(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rig.folder / "liba.so"
    path.write_bytes(b"library")
    monkeypatch.setenv(VARIABLE, str(path))
    rig.of_library(b"library")
    seen: list[int] = []
    start = rig.library.Runtime
    rig.library.Runtime = lambda log: (seen.append(len(rig.registry.loaded)), start(log))[1]
    rig.setting.load()
    assert rig.registry.loaded == [str(path.resolve())]
    assert seen == [1]


def test_a_library_that_is_missing_is_named_with_its_hash(rig: Rig) -> None:
    plugin = rig.of_library(b"library")
    with pytest.raises(EngineError, match=r"of liba\.so, which is not there: install the "):
        rig.bring(plugin)
    with pytest.raises(EngineError, match=f"SHA-256 {plugin.library_sha256} and set {VARIABLE}"):
        rig.bring(plugin)


def test_a_variable_that_names_no_file_is_said_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(rig.folder / "gone.so"))
    with pytest.raises(EngineError, match=r"gone\.so is not there, which .* names: .*: install"):
        rig.bring(rig.of_library(b"library"))


def test_another_library_is_not_loaded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rig.folder / "liba.so"
    path.write_bytes(b"another")
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(EngineError, match=r"liba\.so is another one: install the liba\.so of SHA"):
        rig.bring(rig.of_library(b"library"))
    assert rig.registry.loaded == []


def test_a_library_that_tensorrt_refuses_is_said_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rig.folder / "refused.so"
    path.write_bytes(b"library")
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(EngineError, match=r"way library: .*refused\.so: tensorrt 10\.3\.0 did not"):
        rig.bring(rig.of_library(b"library", "refused.so"))


def test_without_python_plugins_the_way_of_python_is_an_error(rig: Rig) -> None:
    with pytest.raises(EngineError, match=r"way python: .*tensorrt has no IPluginV3: inst"):
        rig.bring(rig.plugin(way="python"))


def test_damaged_kernels_are_an_error(rig: Rig) -> None:
    for name in ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime"):
        setattr(rig.library, name, SimpleNamespace)
    rig.library.IPluginCreatorV3One = SimpleNamespace
    (rig.folder / KERNELS).write_bytes(b"no kernels")
    with pytest.raises(EngineError, match=r"way python: .*a\.kernels: not a kernel file"):
        rig.bring(rig.plugin(way="python"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a file is held by way of /proc")
def test_the_file_that_was_hashed_is_the_one_that_is_loaded(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "liba.so"
    path.write_bytes(b"library")
    monkeypatch.setenv(VARIABLE, str(path))
    loaded: list[bytes] = []

    def load_library(given: str) -> object:
        path.unlink()
        path.write_bytes(b"another")
        loaded.append(Path(given).read_bytes())
        return object()

    monkeypatch.setattr(rig.registry, "load_library", load_library)
    rig.bring(rig.of_library(b"library"))
    assert loaded == [b"library"]
