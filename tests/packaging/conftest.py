"""A wheel built by `make wheel`, and an interpreter that has it and little else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
LIGHT_REQUIREMENTS = ("numpy", "sentencepiece", "onnxruntime")  # the base and the extra `cpu`


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make wheel` builds of the working tree, in an environment of its own.

    That is set up by `make test`: then this needs no network, else once.
    """
    folder = tmp_path_factory.mktemp("distributions")
    # Of the make that runs the tests; flags that are passed down are not meant for this one.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    command = ["make", "wheel", f"DIST={folder}", f"PYTHON={sys.executable}"]
    result = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """The wheel, which was built from the source archive."""
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def source_archive(distributions: Path) -> Path:
    (path,) = distributions.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def light_python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An interpreter with the wheel, NumPy, SentencePiece and ONNX Runtime, and no other library.

    What ``pip install 'pegasus-edge[cpu]'`` gives a user, without the network: the libraries are
    links to the ones that the tests run with. Run it with ``-I``, so that no environment variable
    lets others in. The command ``pegasus-summarize`` stands beside it.
    """
    folder = tmp_path_factory.mktemp("light")
    run_python("-m", "venv", "--without-pip", folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    for source in _library_files(LIGHT_REQUIREMENTS):
        (site_packages / source.name).symlink_to(source)
    python = folder / "bin" / "python"
    options = ("--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check")
    run_python("-m", "pip", "--python", python, "install", *options, wheel)
    return python


def run_python(*arguments: str | Path) -> None:
    """Run this interpreter; its output is the message if it fails."""
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def _library_files(requirements: tuple[str, ...]) -> Iterator[Path]:
    """The files and folders in site-packages of the requirements and all that they require."""
    pending, seen, yielded = list(requirements), set[str](), set[Path]()
    while pending:
        name = canonicalize_name(pending.pop())
        if name in seen:
            continue
        seen.add(name)
        distribution = metadata.distribution(name)
        pending += [
            requirement.name
            for requirement in map(Requirement, distribution.requires or [])
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ]
        site_packages = Path(str(distribution.locate_file("")))
        for file in distribution.files or []:
            path = site_packages / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and path not in yielded:
                yielded.add(path)
                yield path
