"""The runtime as a user installs it: no torch, no transformers, no onnx on the machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

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
        "from pegasus_runtime import *; import onnxruntime, pegasus_runtime.cli;"
        "import pegasus_runtime.sessions.ort, pegasus_runtime.tokenizer, pegasus_runtime.bundle"
    )
    result = run(light_python, "-c", script)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_module_and_the_command_show_their_help(light_python: Path) -> None:
    by_module = run(light_python, "-m", "pegasus_runtime.cli", "--help")
    assert by_module.returncode == 0, by_module.stderr
    assert "usage" in by_module.stdout
    command = light_python.with_name("pegasus-summarize")
    by_command = subprocess.run([command, "--help"], capture_output=True, text=True)
    assert by_command.returncode == 0, by_command.stderr
    assert by_command.stdout == by_module.stdout


# Summarizing with the demo bundle through `light_python` belongs here.
