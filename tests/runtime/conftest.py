"""The summarization bundle that the runtime's tests share, opened and loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path]) -> Bundle:
    return open_bundle(tiny_bundle())


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OrtEngine:
    return OrtEngine(bundle, threads=1)
