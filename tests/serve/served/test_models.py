"""Which bundle is served under which name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import (
    BundleError,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    OptionsError,
    Overloaded,
)
from pegasus_runtime.tasks.summary import Summary
from pegasus_serve.served.handed_in import HandedIn
from pegasus_serve.served.models import (
    LoadOptions,
    Model,
    check_source,
    find_served,
    load_served,
    split_name,
)
from pegasus_serve.served.served_heads import ServedAnswerer, ServedClassifier
from pegasus_serve.served.served_summarizer import ServedSummarizer, SummaryOrder
from pegasus_serve.settings import Settings
from pegasus_serve.wire.errors import HttpError
from serve.conftest import CLASSIFIER, QUESTIONS

TEXT = tiny_sentences()[0]
SHORT = GenerationOptions(max_new_tokens=3)


@pytest.mark.parametrize(
    ("argument", "name", "source"),
    [
        ("bundles/xsum", "xsum", "bundles/xsum"),
        ("bundles/xsum/", "xsum", "bundles/xsum/"),
        ("news=bundles/xsum", "news", "bundles/xsum"),
        ("google/pegasus-xsum", "pegasus-xsum", "google/pegasus-xsum"),
        ("a b=c", "a b=c", "a b=c"),
    ],
)
def test_a_bundle_is_named_after_its_last_part_or_as_it_is_told(
    argument: str, name: str, source: str
) -> None:
    assert split_name(argument) == (name, source)


def test_a_folder_with_a_sign_in_its_name_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a=b"
    folder.mkdir()
    assert split_name(str(folder)) == ("a=b", str(folder))
    with pytest.raises(OptionsError, match="model name is 'a=b', expected letters, digits, dots"):
        Model("a=b", lambda: None)  # type: ignore[arg-type,return-value]


def test_a_source_is_checked_before_anything_is_loaded(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = check_source(str(tiny_bundle()))
    assert manifest is not None
    assert manifest.task == "summarization"
    assert check_source("google/pegasus-xsum") is None
    assert check_source("https://huggingface.co/google/pegasus-xsum") is None
    with pytest.raises(BundleError, match="not a bundle"):
        check_source(str(tmp_path / "none"))
    with pytest.raises(OptionsError, match="is an address that is no model's"):
        check_source("https://example.org/model")


def test_a_bundle_is_opened_for_the_task_that_it_is_for(tiny_bundle: Callable[..., Path]) -> None:
    options, settings = LoadOptions(threads=1), Settings()
    with pytest.raises(OptionsError, match="precision is 'int8'"):
        load_served(str(tiny_bundle()), LoadOptions(precision="int8"), settings)
    strict = load_served(str(tiny_bundle()), LoadOptions(threads=1, max_unknown=0.1), settings)
    assert isinstance(strict, ServedSummarizer)
    with pytest.raises(InputError, match="does not know"):
        strict.hand_in("\u4e2d\u6587", SummaryOrder(options=SHORT, ends_at=float("inf")))
    strict.close()
    for architecture, kind in ((CLASSIFIER, ServedClassifier), (QUESTIONS, ServedAnswerer)):
        served = load_served(str(tiny_bundle(architecture)), options, settings)
        assert isinstance(served, kind)
        served.close()


def test_the_batcher_gets_the_settings(tiny_bundle: Callable[..., Path]) -> None:
    """The one of pegasus_runtime, in earnest."""
    settings = Settings(max_queue=1, max_wait_ms=60_000)
    model = Model("tiny", lambda: load_served(str(tiny_bundle()), LoadOptions(threads=1), settings))
    assert model.served is None
    model.load()
    model.load()  # once is enough
    served = model.served
    assert isinstance(served, ServedSummarizer)
    order = SummaryOrder(options=SHORT, ends_at=float("inf"))
    first: HandedIn[Summary] = served.hand_in(TEXT, order)
    assert served.counters().waiting == 1
    with pytest.raises(Overloaded, match="wait"):
        served.hand_in(TEXT, order)
    assert served.counters().refused == 1
    model.close(finish=False)
    with pytest.raises(GenerationInterrupted, match="closed"):
        first.future.result(5)


def test_a_model_is_found_by_its_name_or_by_the_task(tiny: Model, topics: Model) -> None:
    models = {"tiny": tiny, "topics": topics}
    assert find_served(models, None, ServedSummarizer)[0] == "tiny"
    assert find_served(models, "topics", ServedClassifier)[0] == "topics"
    other = Model("other", lambda: tiny.served)  # type: ignore[arg-type,return-value]
    with pytest.raises(HttpError, match="other is loading") as caught:  # it may be the second
        find_served({**models, "other": other}, None, ServedSummarizer)
    assert caught.value.problem.status == 503
    other.load()
    for name, kind, status, message in (
        (None, ServedSummarizer, 422, "model is missing, several are served: .* tiny, other"),
        (None, ServedAnswerer, 404, "no model here is for question-answering: see /v1/models"),
        ("tinny", ServedSummarizer, 404, "unknown model 'tinny': did you mean tiny"),
        ("zz", ServedSummarizer, 404, "unknown model 'zz': expected tiny, topics, other"),
        ("topics", ServedSummarizer, 422, "topics is for text-classification, not for summariz"),
    ):
        with pytest.raises(HttpError, match=message) as caught:
            find_served({**models, "other": other}, name, kind)  # type: ignore[type-var]
        assert caught.value.problem.status == status
