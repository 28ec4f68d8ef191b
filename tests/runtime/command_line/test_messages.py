"""Notes are one line each, whatever is in them and wherever they go."""

from __future__ import annotations

import io
import sys

import pytest

from pegasus_runtime.command_line.messages import escape_controls, fail, note

Captured = pytest.CaptureFixture[str]


def test_a_note_is_one_line_without_what_moves_a_cursor(capsys: Captured) -> None:
    note("pegasus-test", "two\nlines\tand \x1b[2J, \x9b, \u2028 and \udcff of a caf\xe9")
    assert capsys.readouterr().err == (
        "pegasus-test: two lines\\tand \\x1b[2J, \\x9b,   and \\udcff of a caf\xe9\n"
    )


def test_names_that_are_text_stay_as_they_are() -> None:
    for name in ("a b.txt", r"a\nb.txt", "caf\xe9\xa0\u200c\u4e2d.txt"):
        assert escape_controls(name) == name
    assert escape_controls("a\u2029b\r\x00\x7f") == r"a\u2029b\r\x00\x7f"


def test_an_error_gives_its_code_though_nobody_can_be_told(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left")

    for stream in (None, Full()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert fail("pegasus-test", "a message", 2) == 2
    assert capsys.readouterr().out == ""
