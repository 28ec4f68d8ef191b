"""The page in headless Chromium, of a pegasus-serve with pegasus-mini: make serve-test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from examples.chromium import CHROMIUM
from serve.running_server import RunningServer, run_server
from serve.tab import Tab, open_tab

if TYPE_CHECKING:
    from made_once import MadeOnce

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium")

CHECKPOINT = Path(__file__).resolve().parents[2] / "examples" / "checkpoints" / "pegasus-mini"
TEXT = "The old miller sold a red boat in March."


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with open_tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def mini(made_once: MadeOnce) -> Iterator[RunningServer]:
    bundle = made_once.export(model=str(CHECKPOINT)).bundle.folder
    with run_server(f"mini={bundle}", f"other={bundle}", "--threads", "1") as server:
        yield server


def test_stop_ends_the_work_and_the_next_run_is_right(tab: Tab, mini: RunningServer) -> None:
    tab.open(mini.url)
    before = mini.metric("pegasus_documents_cancelled_total")
    tab.click("example")
    expected = tab.run()
    for option, value in (("num_beams", 1), ("max_new_tokens", 500), ("min_new_tokens", 500)):
        tab.set(f"[data-option={option}]", value)
    tab.page.evaluate("shown.length = 0")
    tab.click("run")
    tab.wait("shown.some((text) => text.length > 10)")
    tab.click("stop")
    tab.finish()
    assert tab.text("status") == "Stopped."
    assert tab.text("output"), "what had come stays"
    while mini.metric("pegasus_running_documents"):
        time.sleep(0.01)
    assert mini.metric("pegasus_documents_cancelled_total") == before + 1
    tab.click("reset")
    assert tab.run() == expected
    assert tab.problems() == []


def test_another_model_can_be_chosen(tab: Tab, mini: RunningServer) -> None:
    tab.open(mini.url)
    tab.set("#model", "other")
    tab.click("example")
    assert "earthquake" in tab.run()
    assert any('"model": "other"' in line for line in mini.log)


def test_a_long_text_is_cut_if_asked_and_the_note_says_so(tab: Tab, mini: RunningServer) -> None:
    tab.open(mini.url)
    tab.click("example")
    text = tab.page.evaluate("document.getElementById('text').value")
    assert tab.run(" ".join([text] * 8)) == ""
    assert "and this model reads 512." in tab.notes()[0]
    tab.press("Cut its end")
    assert tab.finish()
    assert tab.notes() == ["The text's end was left out: this model reads 512 tokens."]


def test_a_text_in_another_script_is_noted(tab: Tab, mini: RunningServer) -> None:
    tab.open(mini.url)
    tab.run("地震が発生した。" * 10)
    assert tab.notes()[0].startswith("100 % of the text's characters are unknown")


def test_an_option_that_the_server_refuses_is_told_in_its_words(
    tab: Tab, mini: RunningServer
) -> None:
    tab.open(mini.url)
    tab.set("[data-option=num_beams]", 9)
    assert tab.run(TEXT) == ""
    assert tab.notes()[0].startswith("num_beams is 9, the server takes up to 8")


def test_samples_are_reproducible_by_their_seed(tab: Tab, mini: RunningServer) -> None:
    tab.open(mini.url)
    tab.click("example")
    tab.click("more-button")
    tab.click("sample")
    assert tab.page.evaluate("document.querySelector('[data-option=num_beams]').value") == "1"
    tab.set("[data-option=temperature]", 3)
    first = tab.run()
    assert tab.run() == first
    tab.set("[data-option=seed]", 1)
    assert tab.run() != first
    assert tab.notes() == []
