"""Files of calibration documents, and what is refused of them."""

from pathlib import Path

import pytest

from pegasus_export.errors import CalibrationError
from pegasus_export.measure.documents import (
    DEFAULT_DOCUMENTS,
    CalibrationDocument,
    choose_documents,
    read_calibration,
)


def _write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_text_file_has_a_document_per_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "texts.txt", "One text.\n\n  \nAnother, with an é.\n")
    assert [each.text for each in read_calibration(path)] == ["One text.", "Another, with an é."]
    assert read_calibration(path)[0].summary is None


def test_a_jsonl_file_may_have_summaries(tmp_path: Path) -> None:
    path = _write(tmp_path, "texts.jsonl", '{"document": "A b.", "summary": "A.", "id": 3}\n')
    assert read_calibration(path) == [CalibrationDocument(text="A b.", summary="A.")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", " \n", r"a\.txt is empty: give a document per line$"),
        ("a.jsonl", '{"document": "x"}\n{"text": "y"}', r"a\.jsonl, line 2: expected .*correct"),
        ("a.jsonl", "\n\nno json", r"a\.jsonl, line 3: expected"),
        ("a.jsonl", '{"document": "x", "summary": 3}', r"a\.jsonl, line 1: expected"),
        ("a.jsonl", '["x"]', r"a\.jsonl, line 1: expected"),
        (
            "a.jsonl",
            '{"document": "x"}\n{"document": "y", "summary": "z"}',
            r"summaries in some lines only: give all or none$",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        read_calibration(_write(tmp_path, name, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"cannot be read \(No such file"):
        read_calibration(tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(CalibrationError, match=r"cannot be read \(it is no UTF-8\)"):
        read_calibration(tmp_path / "binary.txt")


def test_activations_are_measured_on_what_was_given_or_lies_in_the_checkpoint(
    tmp_path: Path,
) -> None:
    given = _write(tmp_path, "given.txt", "Given.\n")
    with pytest.raises(
        CalibrationError, match=r"has no calibration\.jsonl: give some dozens .*--c"
    ):
        choose_documents(None, tmp_path, measured=True, rounded=False)
    _write(tmp_path, "calibration.txt", "Text.\n")
    assert choose_documents(None, tmp_path, measured=True, rounded=False) == (
        CalibrationDocument(text="Text."),
    )
    _write(tmp_path, "calibration.jsonl", '{"document": "Line."}\n')
    assert choose_documents(None, tmp_path, measured=True, rounded=False) == (
        CalibrationDocument(text="Line."),
    )
    for measured in (True, False):
        documents = choose_documents(given, tmp_path, measured=measured, rounded=False)
        assert documents == (CalibrationDocument(text="Given."),)


def test_where_nothing_is_measured_two_texts_are_enough(tmp_path: Path) -> None:
    _write(tmp_path, "calibration.jsonl", '{"document": "Line."}\n')
    found = choose_documents(None, tmp_path, measured=False, rounded=False)
    assert found == DEFAULT_DOCUMENTS


def test_weights_are_rounded_by_some_of_the_checkpoint_s_or_by_two_texts(tmp_path: Path) -> None:
    assert choose_documents(None, tmp_path, measured=False, rounded=True) == DEFAULT_DOCUMENTS
    _write(tmp_path, "calibration.txt", "".join(f"Text {number}.\n" for number in range(40)))
    found = choose_documents(None, tmp_path, measured=False, rounded=True)
    assert [each.text for each in found] == [f"Text {number}." for number in range(16)]
    assert len(choose_documents(None, tmp_path, measured=True, rounded=True)) == 40
