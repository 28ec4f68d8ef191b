"""TextClassifier and QuestionAnswerer against transformers, and what they refuse."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from exporter.tiny_checkpoint import tiny_sentences, write_tiny_checkpoint
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import (
    BundleError,
    GenerationInterrupted,
    InputError,
    OptionsError,
    QuestionAnswerer,
    Summarizer,
    TextClassifier,
)
from pegasus_runtime.tasks.answer_spans import best_spans
from pegasus_runtime.tasks.text_classifier import activate

CLASSIFIER = "BigBirdPegasusForSequenceClassification"
QUESTIONS = "BigBirdPegasusForQuestionAnswering"
LABELS = {0: "sport", 1: "money", 2: "weather"}
SHORT, LONG = tiny_sentences()[0], " ".join(tiny_sentences()[:3])


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    write_tiny_checkpoint(
        folder / "checkpoint", architecture=CLASSIFIER, id2label=LABELS, num_labels=3
    )
    export_bundle(ExportRequest(model=str(folder / "checkpoint"), output=folder / "bundle"))
    return folder


@pytest.fixture(scope="module")
def classifier(classifier_folder: Path) -> TextClassifier:
    return TextClassifier.load(classifier_folder / "bundle", threads=1)


@pytest.fixture(scope="module")
def answerer(tiny_bundle: Callable[..., Path]) -> QuestionAnswerer:
    return QuestionAnswerer.load(tiny_bundle(QUESTIONS), threads=1)


@torch.no_grad()
def test_labels_and_scores_are_those_of_transformers(
    classifier: TextClassifier, classifier_folder: Path
) -> None:
    model = transformers.BigBirdPegasusForSequenceClassification.from_pretrained(
        classifier_folder / "checkpoint"
    )
    for text in (SHORT, LONG):
        ids = torch.tensor([classifier._tokenizer.encode(text).token_ids])
        model.get_encoder().set_attention_type("block_sparse")
        probabilities = torch.softmax(model(input_ids=ids).logits[0].double(), dim=-1)
        got = classifier.classify(text)
        assert got.label == LABELS[int(probabilities.argmax())]
        assert got.score == max(got.scores.values())
        assert list(got.scores.values()) == sorted(got.scores.values(), reverse=True)
        for index, label in LABELS.items():
            assert got.scores[label] == pytest.approx(float(probabilities[index]), abs=1e-4)


def test_a_list_of_texts_gives_a_list_and_each_its_own(classifier: TextClassifier) -> None:
    texts = [LONG, SHORT, tiny_sentences()[7]]
    assert classifier.classify(texts) == [classifier.classify(text) for text in texts]
    assert classifier.classify([]) == []


def test_a_cancelled_call_has_what_was_finished_and_the_next_one_is_right(
    classifier: TextClassifier, answerer: QuestionAnswerer
) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(GenerationInterrupted, match=r"^classification was cancelled$") as caught:
        classifier.classify([SHORT, LONG], cancel=cancel)
    assert caught.value.results == (None, None)
    message = "^classification took longer than 0 s: allow more time, shorter texts or fewer of "
    with pytest.raises(GenerationInterrupted, match=message):
        classifier.classify(SHORT, timeout_s=0)
    message = "^answering took longer than 0 s: allow more time, or a shorter text$"
    with pytest.raises(GenerationInterrupted, match=message):
        answerer.answer("who?", SHORT, timeout_s=0)
    never = threading.Event()
    assert classifier.classify([SHORT, LONG], cancel=never) == classifier.classify([SHORT, LONG])
    assert answerer.answer("who?", LONG, cancel=never) == answerer.answer("who?", LONG)


def test_labels_are_not_taken_for_tokens(classifier: TextClassifier) -> None:
    """A batch may be as many tokens long as there are labels."""
    model = classifier._engine
    assert model is not None
    sources = [[120, 130, 1], [140, 1]]
    ((first,), (second,)) = model.run(sources)
    assert first.shape == second.shape == (len(LABELS),)
    ((alone,),) = model.run(sources[1:])
    np.testing.assert_allclose(second, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("softmax", [0.8807970779778823, 0.11920292202211755]),
        ("sigmoid", [0.8807970779778823, 0.5]),
        ("none", [2.0, 0.0]),
    ],
)
def test_logits_become_scores(activation: Any, expected: list[float]) -> None:
    got = activate(np.array([2.0, 0.0], np.float32), activation)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_texts_that_are_too_long_are_refused_or_cut(classifier: TextClassifier) -> None:
    text = " ".join(tiny_sentences()[:30])
    with pytest.raises(
        InputError, match=r"text 1: source has \d+ tokens, the bundle takes 96, the 96 positions"
    ):
        classifier.classify([SHORT, text])
    assert classifier.classify(text, truncate=True).truncated
    assert not classifier.classify(SHORT, truncate=True).truncated


@pytest.mark.parametrize(("given", "what"), [(None, "NoneType"), (5, "int"), (b"text", "bytes")])
def test_what_is_neither_a_text_nor_several_is_refused(
    classifier: TextClassifier, answerer: QuestionAnswerer, given: Any, what: str
) -> None:
    with pytest.raises(InputError, match=f"^texts is {what}, expected a text or a list of texts$"):
        classifier.classify(given)
    with pytest.raises(InputError, match=r"^text 1: text is int, expected str"):
        classifier.classify([SHORT, 5])  # type: ignore[list-item]
    with pytest.raises(InputError, match=f"^question: text is {what}, expected str"):
        answerer.answer(given, SHORT)
    with pytest.raises(InputError, match=f"^text: text is {what}, expected str"):
        answerer.answer(SHORT, given)


def test_a_classification_says_how_much_of_the_text_was_unknown(classifier: TextClassifier) -> None:
    assert classifier.classify(SHORT).unknown_share < 0.05
    assert classifier.classify("\u4e2d\u6587" * 50).unknown_share == 1.0


def test_an_answer_says_how_much_of_the_text_or_the_question_was_unknown(
    answerer: QuestionAnswerer,
) -> None:
    for question, text, expected in (
        ("the boat", SHORT, 0.0),
        ("the boat", "\u4e2d\u6587" * 50, 1.0),
        ("\u4e2d\u6587", SHORT, 1.0),
    ):
        (found,) = answerer.answer(question, text)
        assert found.unknown_share == pytest.approx(expected, abs=0.05)


@torch.no_grad()
def test_the_best_passage_is_that_of_transformers_logits(
    answerer: QuestionAnswerer, tiny_checkpoint: Callable[..., Path]
) -> None:
    model: Any = transformers.BigBirdPegasusForQuestionAnswering.from_pretrained(
        tiny_checkpoint(QUESTIONS)
    )
    question = "who?"
    for text in (SHORT, LONG):
        asked = answerer._tokenizer.encode(question).token_ids[:-1]
        read = answerer._tokenizer.encode(text).token_ids[:-1]
        model.get_encoder().set_attention_type("block_sparse")
        output = model(input_ids=torch.tensor([[*asked, *read, 1]]))
        starts = torch.softmax(output.start_logits[0, len(asked) : -1].double(), -1)
        ends = torch.softmax(output.end_logits[0, len(asked) : -1].double(), -1)
        scores = torch.triu(starts[:, None] * ends[None, :]).tril(14)
        (best,) = answerer.answer(question, text)
        assert best.score == pytest.approx(float(scores.max()), rel=1e-3)
        first, last = divmod(int(scores.argmax()), len(read))
        assert best.text == answerer._tokenizer.decode(read[first : last + 1]).strip()
        assert text[best.start : best.end] == best.text


def test_passages_come_best_first_and_are_no_longer_than_asked(
    answerer: QuestionAnswerer,
) -> None:
    answers = answerer.answer("who?", LONG, top_k=5, max_answer_tokens=3)
    assert len(answers) == 5
    assert [x.score for x in answers] == sorted((x.score for x in answers), reverse=True)
    for each in answers:
        assert LONG[each.start : each.end] == each.text
        assert len(answerer._tokenizer.encode(each.text).token_ids) <= 3 + 2


def test_a_text_that_does_not_fit_behind_the_question_is_refused_or_cut(
    answerer: QuestionAnswerer,
) -> None:
    text = " ".join(tiny_sentences()[:30])
    with pytest.raises(InputError, match=r"question and text have \d+ tokens, the bundle takes 96"):
        answerer.answer("who?", text)
    (cut,) = answerer.answer("who?", text, truncate=True)
    assert cut.truncated
    with pytest.raises(InputError, match=r"question has \d+ tokens, the bundle takes 96 with the"):
        answerer.answer(text, "who?")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("top_k", 0, "from 1 to 10000"),
        ("top_k", 2**63, "from 1 to 10000"),
        ("max_answer_tokens", 0, "at least 1"),
    ],
)
def test_counts_have_bounds(
    answerer: QuestionAnswerer, name: str, value: int, expected: str
) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(OptionsError, match=f"^{name} is {value}, expected {expected}$"):
        answerer.answer("who?", SHORT, **arguments)


@pytest.mark.parametrize(("question", "text"), [("", SHORT), ("who?", " \n")])
def test_empty_questions_and_texts_are_refused(
    answerer: QuestionAnswerer, question: str, text: str
) -> None:
    what = "text" if question else "question"
    with pytest.raises(InputError, match=f"{what}: text is empty or has only whitespace"):
        answerer.answer(question, text)


def test_spans_are_ranked_by_the_product_of_their_ends() -> None:
    starts = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    ends = np.log(np.array([0.1, 0.2, 0.7], np.float32))
    spans = best_spans(starts, ends, count=9, max_tokens=2)
    assert [(first, last) for first, last, _ in spans] == [(1, 2), (2, 2), (0, 1), (1, 1), (0, 0)]
    assert spans[0][2] == pytest.approx(0.21)
    every = best_spans(starts, ends, count=9, max_tokens=2**70)
    assert [(first, last) for first, last, _ in every][:2] == [(0, 2), (1, 2)]
    assert len(every) == 6


def test_a_bundle_of_another_task_is_refused(
    tiny_bundle: Callable[..., Path], classifier_folder: Path
) -> None:
    message = "a bundle for task 'text-classification', this needs 'question-answering' and a tok"
    with pytest.raises(BundleError, match=rf"{message}.*: open it with TextClassifier$"):
        QuestionAnswerer.load(classifier_folder / "bundle")
    with pytest.raises(BundleError, match=r"open it with Summarizer$"):
        TextClassifier.load(tiny_bundle())
    with pytest.raises(BundleError, match=r"open it with FeatureExtractor$"):
        Summarizer.load(tiny_bundle("PegasusModel"))


def test_a_closed_one_is_refused(classifier_folder: Path, tiny_bundle: Callable[..., Path]) -> None:
    with TextClassifier.load(classifier_folder / "bundle") as classifier:
        pass
    with pytest.raises(BundleError, match="the TextClassifier is closed: load it again"):
        classifier.classify(SHORT)
    with QuestionAnswerer.load(tiny_bundle(QUESTIONS)) as answerer:
        pass
    with pytest.raises(BundleError, match="the QuestionAnswerer is closed: load it again"):
        answerer.answer("who?", SHORT)
