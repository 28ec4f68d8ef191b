"""What every task tells of a text that a model was not made to read, and what it refuses of it."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pegasus_runtime import (
    Failure,
    FeatureExtractor,
    GenerationOptions,
    InputError,
    OptionsError,
    QuestionAnswerer,
    Summarizer,
    TextClassifier,
    TextGenerator,
    pipeline,
)

PLAIN = "The old miller sold a boat."
MARKED = "<p>The old\u200b miller</p>\0"
HALF = "the fox \u4e2d\u6587 \u4e2d\u6587\u4e2d\u6587"
SUMMARIZATION = "PegasusForConditionalGeneration"
QUESTIONS = "BigBirdPegasusForQuestionAnswering"
USES: dict[str, tuple[Any, Callable[[Any, str], Any]]] = {
    SUMMARIZATION: (Summarizer, lambda loaded, text: loaded.summarize(text)),
    "PegasusForCausalLM": (TextGenerator, lambda loaded, text: loaded.generate(text)),
    "BigBirdPegasusForSequenceClassification": (
        TextClassifier,
        lambda loaded, text: loaded.classify(text),
    ),
    QUESTIONS: (QuestionAnswerer, lambda loaded, text: loaded.answer("who?", text)[0]),
    "PegasusModel": (FeatureExtractor, lambda loaded, text: loaded.extract(text)),
}


@pytest.mark.parametrize("architecture", USES)
def test_every_result_tells_of_html_and_of_what_nobody_sees(
    tiny_bundle: Callable[..., Path], architecture: str
) -> None:
    kind, use = USES[architecture]
    with kind.load(tiny_bundle(architecture), threads=1) as loaded:
        plain, marked = use(loaded, PLAIN), use(loaded, MARKED)
    assert (plain.control_characters, plain.looks_like_html) == (0, False)
    assert (marked.control_characters, marked.looks_like_html) == (2, True)


def test_so_do_alternatives_and_encodings(tiny_bundle: Callable[..., Path]) -> None:
    two = GenerationOptions(num_beams=2, num_return_sequences=2)
    for architecture, name in ((SUMMARIZATION, "summarize"), ("PegasusForCausalLM", "generate")):
        with USES[architecture][0].load(tiny_bundle(architecture), threads=1) as loaded:
            (other,) = getattr(loaded, name)(MARKED, two).alternatives
            encoding = loaded.encode(MARKED)
        assert (other.control_characters, other.looks_like_html) == (2, True)
        assert (encoding.control_characters, encoding.looks_like_html) == (2, True)


def test_what_a_limit_cuts_off_is_told_of_too(tiny_bundle: Callable[..., Path]) -> None:
    with Summarizer.load(tiny_bundle(SUMMARIZATION), threads=1) as summarizer:
        encoding = summarizer.encode(f"{PLAIN * 50}{MARKED}", truncate=True)
    assert encoding.truncated
    assert (encoding.control_characters, encoding.looks_like_html) == (2, True)


def test_a_question_counts_as_its_text_does(tiny_bundle: Callable[..., Path]) -> None:
    with QuestionAnswerer.load(tiny_bundle(QUESTIONS), threads=1, max_unknown=0.5) as answerer:
        (found,) = answerer.answer("<br>who\0?", f"{PLAIN}\u200b")
        assert (found.control_characters, found.looks_like_html) == (2, True)
        with pytest.raises(InputError, match=r"^question: the tokenizer does not know"):
            answerer.answer("\u4e2d\u6587", PLAIN)
        with pytest.raises(InputError, match=r"^text: the tokenizer does not know"):
            answerer.answer("who", "\u4e2d\u6587")


@pytest.mark.parametrize("architecture", USES)
def test_a_text_with_more_unknown_than_allowed_is_refused_in_another_process_too(
    tiny_bundle: Callable[..., Path], architecture: str
) -> None:
    kind, use = USES[architecture]
    bundle = tiny_bundle(architecture)
    with kind.load(bundle, threads=1) as loaded:
        share = use(loaded, HALF).unknown_share
    assert 0.4 < share < 0.6
    with kind.load(bundle, threads=1, max_unknown=share) as loaded:
        use(loaded, HALF)
    with kind.load(bundle, threads=1, max_unknown=0.4) as loaded:
        use(loaded, PLAIN)
        for each in (loaded, pickle.loads(pickle.dumps(loaded))):
            message = r"does not know [45]\d\.\d% of the text's characters, max_unknown is 40\.0%"
            with pytest.raises(InputError, match=message):
                use(each, HALF)


@pytest.mark.parametrize("architecture", USES)
def test_a_limit_that_is_no_share_is_refused(
    tiny_bundle: Callable[..., Path], architecture: str
) -> None:
    with pytest.raises(OptionsError, match="max_unknown is 20, expected a share from 0 to 1"):
        USES[architecture][0].load(tiny_bundle(architecture), threads=1, max_unknown=20)


def test_a_refused_document_is_a_failure_among_the_others(
    tiny_bundle: Callable[..., Path],
) -> None:
    with Summarizer.load(tiny_bundle(SUMMARIZATION), threads=1, max_unknown=0) as summarizer:
        first, second = summarizer.summarize_each([HALF, PLAIN], errors="return")
        assert isinstance(first, Failure)
        assert "max_unknown is 0.0%" in str(first.error)
        assert second == summarizer.summarize(PLAIN)


def test_a_pipeline_takes_the_limit(tiny_bundle: Callable[..., Path]) -> None:
    summarize = pipeline("summarization", tiny_bundle(SUMMARIZATION), threads=1, max_unknown=0.1)
    with pytest.raises(InputError, match="max_unknown is 10"):
        summarize(HALF)
