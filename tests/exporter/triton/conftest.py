"""A repository of a tiny bundle, and its model.py loaded as Triton would."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.triton import fake_backend_utils
from pegasus_export.triton.repository import write_repository
from pegasus_runtime import Summarizer


@pytest.fixture(scope="package")
def place(tiny_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder."""
    return write_repository(tiny_bundle(), tmp_path_factory.mktemp("triton") / "models")


@pytest.fixture(scope="package")
def summarizer(tiny_bundle: Callable[..., Path]) -> Iterator[Summarizer]:
    with Summarizer.load(tiny_bundle(), threads=1) as summarizer:
        yield summarizer


@pytest.fixture
def backend(place: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the file that was written."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", fake_backend_utils)
    spec = importlib.util.spec_from_file_location("model", place / "1" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "model", module)
    spec.loader.exec_module(module)
    return module
