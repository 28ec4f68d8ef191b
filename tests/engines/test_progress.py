"""What long work shows, without any other library."""

import io
import re
import sys

import pytest

from pegasus_engines.progress import choose_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_told_how_far_it_is_and_then_how_long_it_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with choose_progress(quiet=False)("build encoder", total_steps=8) as advance:
        advance(2)
        advance(6)
    *shown, end = terminal.getvalue().split("\r")
    assert shown == ["", *(f"build encoder: {share} %\x1b[K" for share in (0, 25, 100))]
    assert re.fullmatch(r"\x1b\[Kbuild encoder: [\d.]+ s\n", end)


def test_what_has_no_steps_is_named_and_what_fails_clears_its_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(ValueError, match="mine"), choose_progress(quiet=False)("compare"):
        raise ValueError("mine")
    assert terminal.getvalue() == "\rcompare ...\x1b[K\r\x1b[K"


def test_what_is_no_terminal_gets_a_line_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with choose_progress(quiet=False)("build encoder", total_steps=8) as advance:
        advance(8)
        assert capsys.readouterr().err == ""
    assert re.fullmatch(r"build encoder: [\d.]+ s\n", capsys.readouterr().err)


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with choose_progress(quiet=True)("build encoder", 8) as advance:
        advance(8)
    assert capsys.readouterr() == ("", "")
