"""What the progress line says, and where it stays silent."""

import fcntl
import io
import os
import pty
import struct
import sys
import termios

import pytest

from pegasus_runtime.commands.progress import ProgressLine, describe_progress


class Screen(io.StringIO):
    """A terminal, or something else that text is written to."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def screen(patch: pytest.MonkeyPatch, is_terminal: bool = True) -> Screen:
    found = Screen(is_terminal)
    patch.setattr(sys, "stderr", found)
    return found


@pytest.mark.parametrize(
    ("done", "elapsed_s", "text"),
    [
        (0, 0.0, "0 of 90 documents"),
        (0, 5.0, "0 of 90 documents"),
        (30, 10.0, "30 of 90 documents, 3.0 a second, 0:00:20 left"),
        (2, 25.0, "2 of 90 documents, 12.5 s each, 0:18:20 left"),
        (1, 60.0, "1 of 90 documents, 60.0 s each, 1:29:00 left"),
        (90, 45.0, "90 of 90 documents, 2.0 a second, 0:00:00 left"),
        (3, 0.0, "3 of 90 documents"),
    ],
)
def test_progress_in_words(done: int, elapsed_s: float, text: str) -> None:
    assert describe_progress(done, 90, elapsed_s) == text


def test_a_line_is_written_over_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch)
    line = ProgressLine(4, clock=iter([100.0, 100.0, 102.0, 103.0]).__next__)
    line.show(0)
    line.show(1)
    line.show(2)
    line.clear()
    assert shown.getvalue().split("\r") == [
        "",
        "0 of 4 documents\x1b[K",
        "1 of 4 documents, 2.0 s each, 0:00:06 left\x1b[K",
        "2 of 4 documents, 1.5 s each, 0:00:03 left\x1b[K",
        "\x1b[K",
    ]


@pytest.mark.parametrize(("total", "is_terminal"), [(1, True), (4, False)])
def test_one_document_or_no_terminal_gets_no_line(
    monkeypatch: pytest.MonkeyPatch, total: int, is_terminal: bool
) -> None:
    shown = screen(monkeypatch, is_terminal)
    line = ProgressLine(total)
    line.show(0)
    line.show(1)
    line.clear()
    assert shown.getvalue() == ""


def test_steps_are_shown_behind_the_counts_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch)
    line = ProgressLine(4, clock=iter([100.0, 100.0, 100.1, 100.3, 100.4, 100.6]).__next__)
    line.show(0)
    for length in (1, 2, 3, 4):
        line.step(length, 64)
    line.clear()
    assert shown.getvalue().split("\r") == [
        "",
        "0 of 4 documents\x1b[K",
        "0 of 4 documents; token 2 of at most 64\x1b[K",
        "0 of 4 documents; token 4 of at most 64\x1b[K",
        "\x1b[K",
    ]


def test_steps_are_all_that_one_document_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch)
    line = ProgressLine(1, clock=iter([100.0, 101.0]).__next__)
    line.show(0)
    line.step(7, 64)
    line.clear()
    line.clear()
    assert shown.getvalue().split("\r") == ["", "token 7 of at most 64\x1b[K", "\x1b[K"]
    quiet = screen(monkeypatch, is_terminal=False)
    ProgressLine(1, clock=iter([100.0]).__next__).step(7, 64)
    assert quiet.getvalue() == ""


@pytest.mark.parametrize(("columns", "text"), [(20, "2 of 40000 document"), (0, "a second")])
def test_a_line_is_no_longer_than_the_terminal_is_wide(
    monkeypatch: pytest.MonkeyPatch, columns: int, text: str
) -> None:
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = screen(monkeypatch)
    monkeypatch.setattr(shown, "fileno", lambda: terminal)
    line = ProgressLine(40_000, clock=iter([100.0, 100.1, 102.0]).__next__)
    line.show(2)
    line.step(12, 256)
    os.close(terminal)
    os.close(keyboard)
    for part in shown.getvalue().split("\r")[1:]:
        assert text in part
        assert len(part.removesuffix("\x1b[K")) < (columns or 80)
