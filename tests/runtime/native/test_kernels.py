"""Kernels of another distribution: found, refused, switched off, and registered with sessions."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.commands.summarize import main
from pegasus_runtime.diagnosis.engines import find_cpu_kernels
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native import kernels
from pegasus_runtime.native.kernels import ABI, Kernels, find_kernels, look_for_kernels
from pegasus_runtime.sessions.ort.engine import OrtEngine

LIBRARY = """
int times_registered = 0;
const char* pegasus_edge_kernels_instructions(void) { return "%s"; }
const char* pegasus_edge_kernels_operators(void) { return "%s"; }
void* RegisterCustomOps(void* options, const void* api) { ++times_registered; return 0; }
"""
MODULE = """
from pathlib import Path
__version__, ABI, LIBRARY = "0.1.0", {abi}, Path({library!r})
"""
TEXT = "The old miller sold a red boat in March."
ADVICE = "pip install -U 'pegasus-edge[fast]'"

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a module pegasus_edge_kernels on the path, and a library that registers nothing."""

    def install(
        *,
        instructions: str = "avx2",
        operators: str = "Int8Linear,KeepSource",
        abi: int = ABI,
        module: str = MODULE,
        library: str = LIBRARY,
    ) -> Path:
        built = tmp_path / "libfake.so"
        if "%s" in library:
            compiler = shutil.which("cc")
            if compiler is None:
                pytest.skip("there is no C compiler")
            source = tmp_path / "fake.c"
            source.write_text(library % (instructions, operators))
            subprocess.run([compiler, "-shared", "-fPIC", source, "-o", built], check=True)
        else:
            built.write_text(library)
        package = tmp_path / "pegasus_edge_kernels"
        package.mkdir()
        (package / "__init__.py").write_text(module.format(abi=abi, library=str(built)))
        kernels._load.cache_clear()
        return built

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pegasus_edge_kernels", raising=False)
    monkeypatch.delenv(kernels.SWITCH, raising=False)
    yield install
    sys.modules.pop("pegasus_edge_kernels", None)
    kernels._load.cache_clear()


def test_installed_kernels_are_found_with_what_they_are_for(install: Install) -> None:
    library = install()
    found = find_kernels()
    assert found == Kernels(
        library=library,
        version="0.1.0",
        instructions="avx2",
        operators=frozenset({"Int8Linear", "KeepSource"}),
    )
    assert str(found) == "kernels 0.1.0 (avx2)"
    assert find_kernels() is found


def test_where_nothing_is_installed_stock_operators_need_no_excuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pegasus_edge_kernels", None)
    monkeypatch.delenv(kernels.SWITCH, raising=False)
    kernels._load.cache_clear()
    try:
        assert find_kernels() is None
        assert str(look_for_kernels()) == "stock operators"
        assert find_cpu_kernels().value == "not installed"
        assert find_cpu_kernels().is_fine is None
    finally:
        kernels._load.cache_clear()


def test_they_are_switched_off_and_on_without_a_new_process(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    monkeypatch.setenv("PEGASUS_EDGE_KERNELS", "0")
    assert find_kernels() is None
    assert str(look_for_kernels()) == "stock operators (PEGASUS_EDGE_KERNELS=0)"
    monkeypatch.setenv("PEGASUS_EDGE_KERNELS", "1")
    assert find_kernels() is not None


def test_kernels_for_another_version_are_left_alone_with_advice(install: Install) -> None:
    install(abi=ABI + 1)
    assert find_kernels() is None
    reason = f"pegasus-edge-kernels 0.1.0 has operators of version {ABI + 1}, expected {ABI}"
    assert str(look_for_kernels()) == f"stock operators ({reason}: {ADVICE})"
    finding = find_cpu_kernels()
    assert (finding.value, finding.is_fine, finding.advice) == (reason, False, ADVICE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"module": "import no_such_module"}, "cannot be imported: No module named"),
        ({"module": "from math import no_such_name"}, "cannot be imported: cannot import name"),
        ({"module": "__all__ = ("}, "cannot be imported: '(' was never closed"),
        ({"module": "1 / 0"}, "cannot be imported: division by zero"),
        ({"module": "ABI = {abi}"}, "pegasus_edge_kernels names no library"),
        ({"library": "no library"}, "libfake.so cannot be loaded: "),
        ({"library": "int nothing; // %s %s"}, "libfake.so cannot be loaded: "),
        ({"instructions": ""}, "kernels 0.1.0 have none for this processor"),
        ({"operators": ""}, "kernels 0.1.0 have none for this processor"),
    ],
)
def test_kernels_that_cannot_be_used_say_why_and_nothing_fails(
    install: Install, changes: dict[str, str], reason: str
) -> None:
    install(**changes)
    assert find_kernels() is None
    assert reason in str(look_for_kernels())


def test_a_set_that_is_asked_for_and_is_not_there_is_named(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(instructions="")
    monkeypatch.setenv("PEGASUS_EDGE_INSTRUCTIONS", "avx3")
    said = "kernels 0.1.0 have none for this processor with PEGASUS_EDGE_INSTRUCTIONS=avx3"
    assert str(look_for_kernels()) == f"stock operators ({said})"


def test_every_session_of_a_bundle_registers_them(install: Install, bundle: Bundle) -> None:
    library = install()
    OrtEngine(bundle, threads=1)
    counter = ctypes.c_int.in_dll(ctypes.CDLL(str(library)), "times_registered")
    assert counter.value == len(bundle.manifest.graphs)


def test_kernels_that_onnx_runtime_refuses_are_an_error_that_says_how_to_go_on(
    install: Install, bundle: Bundle
) -> None:
    install(library=LIBRARY.replace("RegisterCustomOps", "Another"))
    says = r"libfake.so: ONNX Runtime does not take the kernels: .*set PEGASUS_EDGE_KERNELS=0"
    with pytest.raises(EngineError, match=says):
        OrtEngine(bundle, threads=1)


def test_a_summarizer_and_the_command_tell_what_runs(
    install: Install,
    bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install()
    with Summarizer.load(bundle.folder, threads=1) as summarizer:
        with_kernels = summarizer.engine
    assert with_kernels.startswith("ONNX Runtime 1.")
    assert with_kernels.endswith(", kernels 0.1.0 (avx2)")
    document = tmp_path / "a.txt"
    document.write_text(TEXT)
    assert main([str(bundle.folder), str(document), "--threads", "1", "--verbose"]) == 0
    assert f"pegasus-summarize: {with_kernels}\n" in capsys.readouterr().err
    monkeypatch.setenv("PEGASUS_EDGE_KERNELS", "0")
    with Summarizer.load(bundle.folder, threads=1) as summarizer:
        assert summarizer.engine.endswith(", stock operators (PEGASUS_EDGE_KERNELS=0)")
