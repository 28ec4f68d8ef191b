"""A summarizer of the tiny bundle, which takes 96 tokens."""

import pytest

from pegasus_runtime import Summarizer
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tokenization.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def summarizer(bundle: Bundle, engine: OrtEngine) -> Summarizer:
    spec = bundle.manifest.tokenizer
    assert spec is not None
    return Summarizer(bundle, engine, Tokenizer.load(bundle.path(spec.file), spec))
