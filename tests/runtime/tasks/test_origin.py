"""What is loaded, sent to other processes: opened there from the same bundle, or an error."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime import (
    BundleError,
    EngineError,
    Failure,
    FeatureExtractor,
    GenerationInterrupted,
    GenerationOptions,
    InputError,
    QuestionAnswerer,
    Summarizer,
    TextClassifier,
    TextGenerator,
    pipeline,
)
from pegasus_runtime.bundle import Bundle, open_bundle, sha256_of_file
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.tasks.closing import Closing
from pegasus_runtime.tasks.origin import Origin, remembers_origin, reopen
from pegasus_runtime.tokenization.tokenizer import Tokenizer

TEXT = "The old miller sold a red boat in March."
QUESTIONS = "BigBirdPegasusForQuestionAnswering"
USES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "PegasusForConditionalGeneration": (Summarizer, lambda each: each.summarize(TEXT)),
    "PegasusForCausalLM": (TextGenerator, lambda each: each.generate("a")),
    "BigBirdPegasusForSequenceClassification": (TextClassifier, lambda each: each.classify(TEXT)),
    QUESTIONS: (QuestionAnswerer, lambda each: each.answer("who?", TEXT)),
    "PegasusModel": (FeatureExtractor, lambda each: each.extract(TEXT).last_hidden_state.tolist()),
}


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.folder, tmp_path / "bundle"))


def through_pickle(each: Any) -> Any:
    return pickle.loads(pickle.dumps(each))


@pytest.mark.parametrize("architecture", USES)
def test_everything_that_is_loaded_is_opened_again(
    tiny_bundle: Callable[..., Path], architecture: str
) -> None:
    kind, use = USES[architecture]
    with kind.load(tiny_bundle(architecture), threads=1) as own, through_pickle(own) as other:
        assert type(other) is kind
        assert other._engine is not own._engine
        assert use(other) == use(own)
        assert other.origin == own.origin


def test_a_summarizer_works_in_a_process_that_was_spawned(bundle: Bundle) -> None:
    with (
        Summarizer.load(bundle.folder, threads=1) as summarizer,
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
    ):
        found = pool.submit(summarizer.summarize, [TEXT, TEXT[:20]]).result(timeout=60)
        assert found == summarizer.summarize([TEXT, TEXT[:20]])
        with pytest.raises(InputError, match="text is empty"):
            pool.submit(summarizer.summarize, "").result(timeout=60)


def test_arguments_travel_and_a_folder_is_found_from_anywhere(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = sha256_of_file(copied / "manifest.json")
    monkeypatch.chdir(tmp_path)
    with Summarizer.load(
        "bundle", threads=1, newlines="original", manifest_sha256=digest
    ) as summarizer:
        pickled = pickle.dumps(summarizer)
        assert summarizer.origin == Origin(
            source=copied,
            keywords={"threads": 1, "newlines": "original", "manifest_sha256": digest},
            manifest_sha256=digest,
        )
    monkeypatch.chdir("/")
    with pickle.loads(pickled) as other:
        assert other.bundle.folder == copied
        assert other._tokenizer.newlines == "original"
    with (copied / "spiece.model").open("r+b") as file:  # hashes were asked for, and still are
        file.write(b"\xff")
    with pytest.raises(BundleError, match="its SHA-256 differs from the manifest's"):
        pickle.loads(pickled)


def test_a_bundle_that_is_another_one_by_then_is_refused(copied: Path) -> None:
    with Summarizer.load(copied, threads=1) as summarizer:
        pickled = pickle.dumps(summarizer)
    text = json.loads((copied / "manifest.json").read_text())
    text["generation"]["num_beams"] = 2
    (copied / "manifest.json").write_text(json.dumps(text))
    message = r"bundle: the bundle is another one than when the Summarizer was pickled: load it ag"
    with pytest.raises(BundleError, match=message):
        pickle.loads(pickled)
    shutil.rmtree(copied)
    with pytest.raises(BundleError, match=r"^not a bundle: .* is not a folder"):
        pickle.loads(pickled)


def test_what_is_closed_or_was_not_loaded_cannot_be_pickled(
    bundle: Bundle, engine: OrtEngine
) -> None:
    assert bundle.manifest.tokenizer is not None
    spec = bundle.manifest.tokenizer
    made = Summarizer(bundle, engine, Tokenizer.load(bundle.path(spec.file), spec))
    message = "the Summarizer was made of an engine, which cannot be pickled: make it by Summarizer"
    with pytest.raises(EngineError, match=message):
        pickle.dumps(made)
    made.close()
    with pytest.raises(BundleError, match="the Summarizer is closed: load it again"):
        pickle.dumps(made)


class _ByName(Closing[int]):
    """As what is loaded by a name, of which the bundle is in a cache."""

    folder: Path

    @classmethod
    @remembers_origin
    def load(cls, source: Path | str, *, kernel_cache: str | None = None) -> _ByName:
        return cls(open_bundle(cls.folder), 1)


def test_a_name_travels_as_it_was_given(bundle: Bundle, copied: Path) -> None:
    _ByName.folder = bundle.folder
    origin = _ByName.load("owner/name", kernel_cache="kernels").origin
    assert origin == Origin(
        source="owner/name",
        keywords={"kernel_cache": Path("kernels").absolute()},
        manifest_sha256=None,
    )
    _ByName.folder = copied
    text = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps(text))
    assert reopen(_ByName, origin).bundle.folder == copied


def test_a_pipeline_travels_with_its_model(tiny_bundle: Callable[..., Path]) -> None:
    summarizer = pipeline("summarization", tiny_bundle(), threads=1, max_length=9)
    assert through_pickle(summarizer)(TEXT) == summarizer(TEXT)


def test_results_and_errors_come_back() -> None:
    error = GenerationInterrupted("generation was cancelled")
    error.results = (None, Failure(document=1, error=InputError("empty")))
    found = through_pickle(error)
    assert str(found) == "generation was cancelled"
    assert (found.results[0], found.results[1].document) == (None, 1)
    assert through_pickle(GenerationOptions(num_beams=3)) == GenerationOptions(num_beams=3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_of_a_fork_the_error_says_to_spawn(bundle: Bundle) -> None:
    with Summarizer.load(bundle.folder, threads=1) as summarizer:
        summarizer._process -= 1  # as in the child of the process that loaded it
        with pytest.raises(EngineError, match=r"before this process was forked.*'spawn'$"):
            summarizer.summarize(TEXT)
        with through_pickle(summarizer) as own:
            assert own.summarize(TEXT).text is not None
