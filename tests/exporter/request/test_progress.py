"""Bars where there is rich to draw them, and lines where there is none."""

import io
import sys

import pytest

from pegasus_export.request.progress import choose_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("has_rich", "end"), [(True, "0:00:00"), (False, " s\n")])
def test_a_terminal_gets_a_bar_of_rich_or_a_line_without_it(
    monkeypatch: pytest.MonkeyPatch, has_rich: bool, end: str
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    if has_rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich", None)
    with choose_progress(quiet=False)("build encoder", total_steps=8) as advance:
        advance(8)
    assert "build encoder" in terminal.getvalue()
    assert end in terminal.getvalue()
