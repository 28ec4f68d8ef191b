"""The page in headless Chromium, of a real pegasus-serve; make serve-test runs the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from examples.chromium import CHROMIUM
from pegasus_runtime import GenerationOptions, Summarizer
from serve.running_server import run_server
from serve.tab import Tab, open_tab

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")

TEXT = "The old miller sold a red boat in March. The mayor of the town bought it on Monday."


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with open_tab(tmp_path / "profile") as tab:
        yield tab


def in_lines(text: str) -> str:
    return text.replace(" <n> ", "\n").replace("<n> ", "\n").replace("<n>", "\n")


def test_the_summary_is_pythons_it_grows_and_nothing_is_asked_of_others(
    tab: Tab, tiny_bundle: Callable[..., Path]
) -> None:
    bundle = tiny_bundle()
    with Summarizer.load(bundle, threads=1) as summarizer:
        expected = summarizer.summarize(TEXT).text
        greedy = summarizer.summarize(
            TEXT, GenerationOptions(num_beams=1, max_new_tokens=20, min_new_tokens=20)
        ).text
    with run_server(str(bundle), "--threads", "1") as server:
        tab.open(server.url)
        assert tab.run(TEXT) == in_lines(expected)
        assert "tokens" in tab.text("timings")
        tab.page.evaluate("shown.length = 0")
        for option, value in (("num_beams", 1), ("max_new_tokens", 20), ("min_new_tokens", 20)):
            tab.set(f"[data-option={option}]", value)
        assert tab.run() == in_lines(greedy)
    grown = [text for text in tab.shown() if text]
    assert len(grown) > 3
    for before, after in pairwise(grown):
        assert after.startswith(before)
    assert tab.notes() == []
    assert tab.problems() == []
