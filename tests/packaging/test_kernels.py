"""The distribution pegasus-edge-kernels: it fits the runtime, and nothing of it is in the wheel."""

from __future__ import annotations

import re
import runpy
import tarfile
import zipfile
from pathlib import Path

import tomllib

from pegasus_runtime.native import kernels

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "plugins" / "kernels"
# Run rather than imported: what is installed may be another.
MODULE = runpy.run_path(str(FOLDER / "pegasus_edge_kernels" / "__init__.py"))
LIBRARIES = (".so", ".dll", ".dylib")


def test_both_sides_mean_the_same_operators() -> None:
    assert MODULE["ABI"] == kernels.ABI


def test_the_extra_takes_the_version_that_is_here() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    series = MODULE["__version__"].rpartition(".")[0]
    assert f"pegasus-edge-kernels=={series}.*" in project["optional-dependencies"]["fast"]


def test_the_compiler_is_of_one_version_everywhere() -> None:
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))
    (pinned,) = [x for x in project["build-system"]["requires"] if x.startswith("ziglang")]
    assert pinned in (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()


def test_the_library_has_the_name_that_it_is_built_under() -> None:
    built = set(re.findall(r'library="(\S+)"', (FOLDER / "hatch_build.py").read_text("utf-8")))
    assert MODULE["LIBRARY"].parent == FOLDER / "pegasus_edge_kernels"
    assert MODULE["LIBRARY"].name in built
    assert {Path(name).suffix for name in built} == set(LIBRARIES)


def test_the_wheel_and_the_sources_of_pegasus_edge_have_no_library(
    wheel: Path, source_archive: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    with tarfile.open(source_archive) as archive:
        sources = archive.getnames()
    assert not [name for name in (*names, *sources) if name.endswith(LIBRARIES)]
    assert not [name for name in names if "pegasus_edge_kernels" in name]
    assert any(name.endswith("plugins/kernels/pyproject.toml") for name in sources)
