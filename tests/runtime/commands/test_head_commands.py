"""pegasus-classify and pegasus-answer: what they print where, and what they refuse."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.tiny_checkpoint import tiny_sentences
from pegasus_runtime import QuestionAnswerer, TextClassifier
from pegasus_runtime.commands import answer, classify

Run = Callable[..., tuple[int, str, str]]
CLASSIFIER = "BigBirdPegasusForSequenceClassification"
QUESTIONS = "BigBirdPegasusForQuestionAnswering"
TEXTS = tiny_sentences()[:2]
TOO_LONG = " ".join(tiny_sentences()[:30])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(main: Callable[[list[str]], int], *arguments: object, stdin: str = "") -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            code = main([*map(str, arguments), "--threads", "1"])
        except SystemExit as ended:
            code = int(str(ended.code))
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def topics(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle(CLASSIFIER)


@pytest.fixture(scope="module")
def answers(tiny_bundle: Callable[..., Path]) -> Path:
    return tiny_bundle(QUESTIONS)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path, text in zip(paths, TEXTS, strict=True):
        path.write_text(text)
    return paths


def test_a_document_gets_a_line_with_its_label(run: Run, topics: Path, files: list[Path]) -> None:
    with TextClassifier.load(topics, threads=1) as classifier:
        found = classifier.classify(TEXTS)
    expected = [
        f"{each.label}\t{each.score:.4f}\t{path}" for each, path in zip(found, files, strict=True)
    ]
    assert run(classify.main, topics, *files) == (0, "\n".join(expected) + "\n", "")


def test_labels_come_as_json_with_all_scores(run: Run, topics: Path) -> None:
    with TextClassifier.load(topics, threads=1) as classifier:
        found = classifier.classify(TEXTS[0])
    code, out, err = run(classify.main, topics, "--json", stdin=TEXTS[0])
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert (record["label"], record["truncated"]) == (found.label, False)
    assert list(record["scores"]) == list(found.scores)
    assert record["scores"] == pytest.approx(dict(found.scores))


def test_a_document_gets_a_line_for_each_passage(
    run: Run, answers: Path, files: list[Path]
) -> None:
    with QuestionAnswerer.load(answers, threads=1) as answerer:
        found = answerer.answer("who was", TEXTS[0], top_k=2)
    expected = [
        f"{each.text}\t{each.score:.4f}\t{each.start}-{each.end}\t{files[0]}" for each in found
    ]
    arguments = ("who was", files[0], "--top-k", 2)
    assert run(answer.main, answers, *arguments) == (0, "\n".join(expected) + "\n", "")


@pytest.mark.parametrize("asks", [False, True], ids=["classify", "answer"])
def test_a_name_of_a_file_breaks_neither_lines_nor_columns(
    run: Run, topics: Path, answers: Path, tmp_path: Path, asks: bool
) -> None:
    path = tmp_path / "two\nlines\tand\x1b[2J.txt"
    path.write_text(TEXTS[0])
    main, arguments = (answer.main, [answers, "who was"]) if asks else (classify.main, [topics])
    code, out, err = run(main, *arguments, path)
    assert (code, err, out.count("\n")) == (0, "", 1)
    columns = out.rstrip("\n").split("\t")
    assert (len(columns), columns[-1]) == (3 + asks, rf"{tmp_path}/two\nlines\tand\x1b[2J.txt")
    _, out, _ = run(main, *arguments, path, "--json")
    assert json.loads(out)["file"] == str(path)


@pytest.mark.parametrize("asks", [False, True], ids=["classify", "answer"])
def test_text_that_the_tokenizer_does_not_know_is_warned_of(
    run: Run, topics: Path, answers: Path, asks: bool
) -> None:
    main, bundle = (answer.main, answers) if asks else (classify.main, topics)
    arguments = [bundle, "who was"] if asks else [bundle]
    code, out, err = run(main, *arguments, "--json", stdin="\u4e2d\u6587" * 50)
    record = json.loads(out)
    assert (code, (record["answers"][0] if asks else record)["unknown_share"]) == (0, 1.0)
    assert "standard input: warning: the tokenizer does not know 100% of its characters" in err


def test_passages_come_as_json_with_their_characters(run: Run, answers: Path) -> None:
    code, out, err = run(answer.main, answers, "who was", "--json", stdin=TEXTS[0])
    assert (code, err) == (0, "")
    (found,) = json.loads(out)["answers"]
    assert TEXTS[0][found["start"] : found["end"]] == found["text"]


@pytest.mark.parametrize("asks", [False, True], ids=["classify", "answer"])
def test_what_is_too_long_is_refused_or_cut_aloud(
    run: Run, topics: Path, answers: Path, asks: bool
) -> None:
    main, bundle = (answer.main, answers) if asks else (classify.main, topics)
    arguments = [bundle, "who was"] if asks else [bundle]
    code, out, err = run(main, *arguments, stdin=TOO_LONG)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "the bundle takes 96" in err
    code, out, err = run(main, *arguments, "--truncate", stdin=TOO_LONG)
    assert (code, out.count("\n")) == (0, 1)
    assert err.endswith("cut to what the bundle takes\n")


@pytest.mark.parametrize("asks", [False, True], ids=["classify", "answer"])
def test_a_bundle_of_another_task_is_one_line(
    run: Run, topics: Path, answers: Path, asks: bool
) -> None:
    main, arguments = (answer.main, [topics, "who was"]) if asks else (classify.main, [answers])
    code, out, err = run(main, *arguments, stdin=TEXTS[0])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "open it with" in err


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (classify.main, ["--json", "--truncate", "--threads", "topics article.txt"]),
        (answer.main, ["--top-k", "--max-answer-tokens", "--json", "Who was hurt?"]),
    ],
)
def test_help_teaches(run: Run, main: Callable[[list[str]], int], words: list[str]) -> None:
    code, out, err = run(main, "--help")
    assert (code, err) == (0, "")
    assert all(word in out for word in words)
