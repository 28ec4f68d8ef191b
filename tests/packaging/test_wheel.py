"""What a user downloads: six packages, their types, the licence, and nothing else."""

from __future__ import annotations

import configparser
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from pegasus_runtime import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE_FOLDERS = (
    "exporter/pegasus_export",
    "engines/pegasus_engines",
    "plugins/pegasus_plugins",
    "runtime/pegasus_ray",
    "runtime/pegasus_runtime",
    "runtime/pegasus_serve",
)
PAGE = "runtime/pegasus_serve/page"
"""What a browser is given."""
MAX_WHEEL_BYTES = 950_000  # of sources alone, by the test below: no more than a picture


@pytest.fixture(scope="module")
def contents(wheel: Path) -> dict[str, bytes]:
    """Path within the wheel -> content; the folder of the metadata is called ``info``."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
        return {name.replace(info, "info"): archive.read(name) for name in names}


def parse_headers(content: bytes) -> Message:
    return Parser().parsestr(content.decode())


def test_the_wheel_holds_the_six_packages_and_nothing_else(contents: dict[str, bytes]) -> None:
    sources = set()
    for folder in PACKAGE_FOLDERS:
        root = REPOSITORY / folder
        paths = [*root.rglob("*.py"), root / "py.typed"]
        sources |= {path.relative_to(root.parent).as_posix() for path in paths}
    root = (REPOSITORY / PAGE).parent
    sources |= {path.relative_to(root.parent).as_posix() for path in (root / "page").rglob("*.*")}
    information = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert set(contents) == sources | {f"info/{name}" for name in information}


def test_the_source_archive_holds_what_the_wheel_is_built_from_and_nothing_else(
    source_archive: Path,
) -> None:
    with tarfile.open(source_archive) as archive:
        names = archive.getnames()
    paths = [Path(name).relative_to(f"pegasus_edge-{__version__}") for name in names]
    folders = {folder.split("/")[0] for folder in PACKAGE_FOLDERS}
    files = {"LICENSE", "README.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert {path.parts[0] for path in paths} == folders | files


def test_the_wheel_is_of_the_version_that_the_program_tells(
    wheel: Path, contents: dict[str, bytes]
) -> None:
    assert wheel.name.split("-")[1] == __version__
    assert parse_headers(contents["info/METADATA"])["Version"] == __version__


def test_the_classifiers_name_every_python_from_the_oldest_that_may_install_it(
    contents: dict[str, bytes],
) -> None:
    headers = parse_headers(contents["info/METADATA"])
    start = "Programming Language :: Python :: 3."
    classifiers = headers.get_all("Classifier") or []
    minors = [int(each.removeprefix(start)) for each in classifiers if each.startswith(start)]
    assert headers["Requires-Python"] == f">=3.{minors[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert sys.version_info.minor in minors
    assert {"Operating System :: POSIX :: Linux", "Typing :: Typed"} <= set(classifiers)


def test_the_wheel_runs_on_every_platform(wheel: Path, contents: dict[str, bytes]) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    headers = parse_headers(contents["info/WHEEL"])
    assert headers["Root-Is-Purelib"] == "true"
    assert headers.get_all("Tag") == ["py3-none-any"]


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES


def test_the_commands_are_those_for_users(contents: dict[str, bytes]) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(contents["info/entry_points.txt"].decode())
    assert {name: dict(entry_points[name]) for name in entry_points.sections()} == {
        "console_scripts": {
            "pegasus-answer": "pegasus_runtime.scripts:answer",
            "pegasus-edge": "pegasus_runtime.scripts:edge",
            "pegasus-build": "pegasus_engines.scripts:build",
            "pegasus-classify": "pegasus_runtime.scripts:classify",
            "pegasus-export": "pegasus_export.scripts:export",
            "pegasus-features": "pegasus_runtime.scripts:features",
            "pegasus-generate": "pegasus_runtime.scripts:generate",
            "pegasus-serve": "pegasus_serve.scripts:serve",
            "pegasus-summarize": "pegasus_runtime.scripts:summarize",
        }
    }


def test_the_base_needs_numpy_and_sentencepiece_only(contents: dict[str, bytes]) -> None:
    headers = parse_headers(contents["info/METADATA"])
    required = headers.get_all("Requires-Dist") or []
    base = [line for line in required if "extra ==" not in line]
    assert sorted(line.split(">")[0] for line in base) == ["numpy", "sentencepiece"]
    assert headers["Requires-Python"] == ">=3.10"


def test_the_licence_is_the_full_apache_text(contents: dict[str, bytes]) -> None:
    assert parse_headers(contents["info/METADATA"])["License-Expression"] == "Apache-2.0"
    licence = contents["info/licenses/LICENSE"].decode()
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert len(licence.splitlines()) > 200
