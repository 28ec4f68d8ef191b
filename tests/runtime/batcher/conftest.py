"""A Summarizer whose engine waits for the test."""

from __future__ import annotations

import pytest

from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tokenization.tokenizer import Tokenizer
from runtime.batcher.gated_engine import GatedEngine


@pytest.fixture
def gated(engine: OrtEngine) -> GatedEngine:
    return GatedEngine(engine)


@pytest.fixture
def summarizer(bundle: Bundle, gated: GatedEngine) -> Summarizer:
    spec = bundle.manifest.tokenizer
    assert spec is not None
    return Summarizer(bundle, gated, Tokenizer.load(bundle.path(spec.file), spec))


@pytest.fixture(scope="module")
def alone(bundle: Bundle, engine: OrtEngine) -> Summarizer:
    """The same, which waits for nobody: the oracle."""
    spec = bundle.manifest.tokenizer
    assert spec is not None
    return Summarizer(bundle, engine, Tokenizer.load(bundle.path(spec.file), spec))
