"""Processes of this Python, in a folder of hostile modules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engines.tiny_graphs import write_product
from pegasus_engines.inspect.lint import lint_graph
from pegasus_runtime.native.child_python import child_python

HOSTILE = (
    "argparse",
    "json",
    "numpy",
    "polygraphy",
    "triton",
    "pegasus_plugins",
    "pegasus_runtime",
)


@pytest.fixture
def hostile_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: whatever is imported from it ends the process."""
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_the_current_folder_is_imported(hostile_folder: Path, name: str) -> None:
    """pegasus_runtime and its like are found where the parent finds them."""
    program = f"import {name}; print({name}.__file__, *sys.argv[1:])"
    done = subprocess.run([*child_python(program), "a b"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" a b\n")
    assert str(hostile_folder) not in done.stdout


def test_polygraphy_lints_there(hostile_folder: Path) -> None:
    assert lint_graph(write_product(hostile_folder / "product.onnx")) == ()
