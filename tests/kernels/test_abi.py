"""ONNX Runtime's C interface in our own words is that of its header."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from kernels.library import REPOSITORY, SOURCES, find_compiler

# Where examples/cpp/build_here.sh has it, or whoever runs the tests.
FOLDERS = (
    Path(os.environ.get("ORT_INCLUDE", "missing")),
    REPOSITORY / "build" / "clients" / "cpp" / "packages" / "usr" / "include" / "onnxruntime",
)


def test_places_are_those_of_the_header(header: Path) -> None:
    assert compile_check(header.parent, SOURCES / "ort_abi.h") == ""


@pytest.mark.parametrize(
    ("ours", "moved"),
    [
        ("OrtGetInput =\n    OrtFunction<90,", "OrtGetInput =\n    OrtFunction<89,"),
        ("    void (*destroy)(void* kernel);\n", "    void (*destroy)(void* kernel), (*more)();\n"),
    ],
)
def test_what_is_elsewhere_is_told(header: Path, tmp_path: Path, ours: str, moved: str) -> None:
    text = (SOURCES / "ort_abi.h").read_text("utf-8")
    assert ours in text
    changed = tmp_path / "ort_abi.h"
    changed.write_text(text.replace(ours, moved))
    said = compile_check(header.parent, changed)
    assert re.search("static assertion failed: ort_abi.h has .* elsewhere", said)


@pytest.fixture
def header() -> Path:
    for folder in FOLDERS:
        if (path := folder / "onnxruntime_c_api.h").exists():
            return path
    pytest.skip("no onnxruntime_c_api.h: ORT_INCLUDE may name its folder")


def compile_check(folder: Path, ours: Path) -> str:
    """What the compiler has against it."""
    source = (SOURCES / "harness" / "check_abi.cpp").read_text("utf-8")
    text = re.sub(r'#include ".*ort_abi.h"', f'#include "{ours}"', source)
    command = [find_compiler(), "-std=c++20", "-fsyntax-only", "-I", folder, "-x", "c++", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    return result.stderr
