"""The runtime as a user installs it: no torch, no transformers, no onnx on the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_runtime import __version__

ABSENT = ("torch", "transformers", "onnx", "onnxscript", "safetensors", "huggingface_hub", "rich")


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-I", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("library", ABSENT)
def test_the_light_interpreter_cannot_import_the_exporters_libraries(
    light_python: Path, library: str
) -> None:
    result = run(light_python, "-c", f"import {library}")
    assert f"No module named '{library}'" in result.stderr


def test_the_runtime_comes_from_the_wheel(light_python: Path) -> None:
    result = run(light_python, "-c", "import pegasus_runtime; print(pegasus_runtime.__file__)")
    assert result.stderr == ""
    assert Path(result.stdout.strip()).is_relative_to(light_python.parents[1])


def test_every_module_of_the_runtime_for_onnx_runtime_imports(light_python: Path) -> None:
    script = (
        "from pegasus_runtime import *; import onnxruntime, pegasus_runtime.commands.summarize;"
        "import pegasus_runtime.sessions.ort.engine, pegasus_runtime.tokenization.tokenizer;"
        "import pegasus_runtime.bundle"
    )
    result = run(light_python, "-c", script)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_module_and_the_command_show_their_help(light_python: Path) -> None:
    by_module = run(light_python, "-m", "pegasus_runtime.commands.summarize", "--help")
    assert by_module.returncode == 0, by_module.stderr
    assert "usage" in by_module.stdout
    command = light_python.with_name("pegasus-summarize")
    by_command = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert by_command.returncode == 0, by_command.stderr
    assert by_command.stdout == by_module.stdout


def test_the_version_is_told_where_a_frozen_program_has_no_metadata(light_python: Path) -> None:
    script = "import sys; sys.modules['importlib.metadata'] = None; import pegasus_runtime as p"
    result = run(light_python, "-c", f"{script}; print(p.__version__)")
    assert (result.stdout, result.stderr) == (f"{__version__}\n", "")


def test_completion_says_what_it_needs(light_python: Path) -> None:
    command = light_python.with_name("pegasus-summarize")
    result = subprocess.run([command, "--print-completion", "bash"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
    says = "shtab is not installed: pip install 'pegasus-edge[completion]'"
    assert result.stderr == f"pegasus-summarize: error: {says}\n"


def test_the_command_that_builds_plans_needs_none_of_them(light_python: Path) -> None:
    command = light_python.with_name("pegasus-build")
    shown = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("usage: pegasus-build GRAPHS")


def test_a_light_install_summarizes(
    light_python: Path, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    article = tmp_path / "article.txt"
    article.write_text("The old miller sold a red boat near the river.", encoding="utf-8")
    command = light_python.with_name("pegasus-summarize")
    result = subprocess.run(
        [command, tiny_bundle(), article, "--json"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["tokens"]


def test_summarizing_loads_no_heavy_library_even_where_they_are_installed(
    tiny_bundle: Callable[..., Path],
) -> None:
    script = (
        "import sys; from pegasus_runtime import Summarizer;"
        f"Summarizer.load({str(tiny_bundle())!r}, threads=1).summarize('The old miller sold it.');"
        "print([x for x in ('torch', 'transformers', 'onnx', 'onnxscript') if x in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")
