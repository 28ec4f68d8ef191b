"""The plugin that plans are built with, as the manifest remembers it."""

import hashlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engines.plans.test_bundle import manifest_of
from pegasus_engines.plans.plugin import bring_plugin
from pegasus_engines.plans.tensorrt import BuildOptions
from pegasus_plugins.kernel_file import KernelFile, write_kernel_file
from pegasus_runtime.bundle import Bundle, FileRecord, PluginSpec
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.tensorrt import Flavour

PLUGIN = PluginSpec(operator="pegasus::BlockSparseAttention", version="1", kernels="a.kernels")


class Module(ModuleType):
    """A TensorRT that loads libraries, and has no Python plugins."""

    def __init__(self) -> None:
        super().__init__("tensorrt")
        self.__version__ = "10.3.0"
        self.loaded: list[str] = []

    def get_plugin_registry(self) -> Any:
        return self

    def load_library(self, path: str) -> object:
        self.loaded.append(path)
        return self


@pytest.fixture
def flavour(monkeypatch: pytest.MonkeyPatch) -> Flavour:
    monkeypatch.delenv("PEGASUS_PLUGIN_LIBRARY", raising=False)
    return Flavour(target="trt", title="TensorRT", tool="tensorrt", module=Module())


def bundle_with(folder: Path, plugin: PluginSpec | None) -> Bundle:
    manifest = manifest_of("trt")
    assert manifest.plans is not None
    write_kernel_file(folder / "a.kernels", KernelFile(compiler="none", images=[]))
    plans = replace(manifest.plans, plugin=plugin)
    record = FileRecord(bytes=(folder / "a.kernels").stat().st_size, sha256="0" * 64)
    manifest = replace(manifest, plans=plans, files={"a.kernels": record})
    return Bundle(folder=folder, manifest=manifest)


def test_graphs_that_call_no_plugin_are_given_none(tmp_path: Path, flavour: Flavour) -> None:
    assert bring_plugin(flavour, bundle_with(tmp_path, None), BuildOptions(target="trt")) is None


def test_a_library_is_loaded_and_remembered_with_its_hash(tmp_path: Path, flavour: Flavour) -> None:
    library = tmp_path / "libmine.so"
    library.write_bytes(b"library")
    options = BuildOptions(target="trt", plugin_library=library)
    assert bring_plugin(flavour, bundle_with(tmp_path, PLUGIN), options) == replace(
        PLUGIN,
        way="library",
        library="libmine.so",
        library_sha256=hashlib.sha256(b"library").hexdigest(),
    )
    assert flavour.module.loaded == [str(library.resolve())]


@pytest.mark.parametrize("way", ["auto", "library", "python"])
def test_a_plugin_that_cannot_be_had_is_an_error_that_says_what_to_do(
    tmp_path: Path, flavour: Flavour, way: str
) -> None:
    options = BuildOptions(target="trt", plugin_way=way)
    expected = "has no IPluginV3: install" if way != "library" else "the C.. plugin is not built: "
    with pytest.raises(EngineError, match=f"{expected}.*: or export with --block-sparse plain"):
        bring_plugin(flavour, bundle_with(tmp_path, PLUGIN), options)


def test_ways_that_are_none_and_ways_for_rtx_are_refused() -> None:
    with pytest.raises(EngineError, match="'wish', expected auto, library, python, aot"):
        BuildOptions(target="trt", plugin_way="wish")
    for options in ({"plugin_way": "python"}, {"plugin_library": Path("a.so")}):
        with pytest.raises(EngineError, match="target trt-rtx takes no plugins: leave out how to"):
            BuildOptions(target="trt-rtx", **options)
