"""Tiny bundles that are served, over a batcher that a test controls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pegasus_runtime import QuestionAnswerer, Summarizer, TextClassifier
from pegasus_serve.served.models import Model
from pegasus_serve.served.served_heads import ServedAnswerer, ServedClassifier
from pegasus_serve.served.served_summarizer import ServedSummarizer
from serve.fake_batcher import FakeBatcher, Held

CLASSIFIER = "BigBirdPegasusForSequenceClassification"
QUESTIONS = "BigBirdPegasusForQuestionAnswering"


@pytest.fixture(scope="session")
def summarizer(tiny_bundle: Callable[..., Path]) -> Summarizer:
    return Summarizer.load(tiny_bundle(), threads=1)


@pytest.fixture(scope="session")
def classifier(tiny_bundle: Callable[..., Path]) -> TextClassifier:
    return TextClassifier.load(tiny_bundle(CLASSIFIER), threads=1)


@pytest.fixture(scope="session")
def answerer(tiny_bundle: Callable[..., Path]) -> QuestionAnswerer:
    return QuestionAnswerer.load(tiny_bundle(QUESTIONS), threads=1)


@pytest.fixture
def batcher(summarizer: Summarizer) -> FakeBatcher:
    """Each document alone, in the thread that lets it go."""

    def summarize(held: Held) -> object:
        for part in summarizer.stream(held.document, held.options):
            if hasattr(part, "score"):
                return part
            if held.on_partial is not None:
                held.on_partial(part)  # type: ignore[arg-type]
        return None

    return FakeBatcher(summarize)  # type: ignore[arg-type]


@pytest.fixture
def tiny(summarizer: Summarizer, batcher: FakeBatcher) -> Model:
    """A summarizer that is loaded, over the fake batcher; it stays open for other tests."""
    served = ServedSummarizer(summarizer, batcher, max_queue=100)
    served.close = lambda *, finish=True: batcher.close(finish=finish)  # type: ignore[method-assign]
    model = Model("tiny", lambda: served)
    model.load()
    return model


@pytest.fixture
def topics(classifier: TextClassifier) -> Model:
    served = ServedClassifier(classifier, max_queue=100)
    served.close = served.queue.close  # type: ignore[method-assign]
    model = Model("topics", lambda: served)
    model.load()
    return model


@pytest.fixture
def answers(answerer: QuestionAnswerer) -> Model:
    served = ServedAnswerer(answerer, max_queue=100)
    served.close = served.queue.close  # type: ignore[method-assign]
    model = Model("answers", lambda: served)
    model.load()
    return model
