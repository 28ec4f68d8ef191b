"""Files as documents: which are read, and what a person is told of the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from desktop.documents import MAX_BYTES, Document, DocumentError, find_files, read_document


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_is_read_in_the_encodings_that_editors_write(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "résumé.txt"
    file.write_bytes("Ein Fluß.\r\nZwei.".encode(encoding))
    assert read_document(file) == Document(name="résumé.txt", text="Ein Fluß.\nZwei.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xe9", r"^a\.txt is not text in UTF-8: save it as such$"),
        (b"\xff\xfea", r"^a\.txt is not text in UTF-8"),
        (b"PK\0\1", r"^a\.txt is no text file$"),
        (b" \n", r"^a\.txt is empty$"),
        (b"a" * (MAX_BYTES + 1), r"^a\.txt is over 2 MB: too long for a text$"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(DocumentError, match=message):
        read_document(file)


def test_a_file_that_is_gone_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^gone\.txt cannot be read: No such file"):
        read_document(tmp_path / "gone.txt")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    else:
        pipe.mkdir()
    with pytest.raises(DocumentError, match=r"^pipe\.txt is no file$"):
        read_document(pipe)


def test_paths_that_no_system_takes_are_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"cannot be read: embedded null"):
        read_document(tmp_path / "a\0b.txt")
    path = tmp_path / ("x" * 300 + ".txt")
    assert find_files([path]) == [path]
    with pytest.raises(DocumentError, match=r"^x+\.txt cannot be read: File name too long"):
        read_document(path)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode here")
def test_a_name_that_is_no_unicode_can_be_shown_and_saved(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    file.write_text("Snow falls.")
    assert read_document(file) == Document(name="caf?.txt", text="Snow falls.")


def test_a_folder_stands_for_the_texts_in_it(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.png"):
        (tmp_path / name).touch()
    alone = tmp_path / "c.png"
    assert find_files([alone, tmp_path, tmp_path / "a.txt"]) == [
        alone,
        tmp_path / "a.txt",
        tmp_path / "b.txt",
    ]
