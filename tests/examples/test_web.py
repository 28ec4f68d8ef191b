"""The page in headless Chromium: make web-test."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from examples.chromium import CHROMIUM, Page, open_page
from examples.client import EXAMPLES, REPOSITORY, summarize_in_python
from examples.conftest import ClientCase
from web import serve

SHOTS = REPOSITORY / "build" / "clients"
WASM = serve.PACKAGES / serve.VENDORED["ort-wasm-simd-threaded.wasm"]
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium"),
    pytest.mark.skipif(not WASM.exists(), reason=f"no {WASM}: make web-test installs it"),
]

# All that #status says and #summary shows goes to window.told.
WATCH = """
window.told = { status: [], summary: [] };
for (const id of ["status", "summary"]) {
  const element = document.getElementById(id);
  new MutationObserver(() => told[id].push(element.textContent)).observe(element, {
    childList: true, characterData: true, subtree: true,
  });
}
0
"""
RUN_ALL = """
(async ({ mode, settings, texts }) => {
  const manifest = await (await fetch("bundle/manifest.json")).json();
  const worker = new Worker("worker.mjs", { type: "module" });
  const found = [];
  for (const text of texts) {
    worker.postMessage({ manifest, mode, text, settings, truncate: false });
    found.push(await new Promise((resolve, reject) => {
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.onmessage = ({ data }) => {
        if (data.kind === "failed") reject(new Error(data.message));
        if (data.kind === "done") resolve(data.summaries[0].token_ids);
      };
    }));
  }
  worker.terminate();
  return found;
})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The page, in a browser of its own, and its server."""

    page: Page
    server: ThreadingHTTPServer
    case: ClientCase

    def open(self) -> None:
        self.page.goto(f"http://localhost:{self.server.server_port}/")
        self.page.wait_for("document.getElementById('num_beams').value !== ''")
        self.page.evaluate(WATCH)

    def summarize(self, text: str, mode: str = "beams") -> str:
        self.start(text, mode)
        self.page.wait_for("!document.getElementById('run').disabled")
        return str(self.page.evaluate("document.getElementById('summary').textContent"))

    def start(self, text: str, mode: str = "beams") -> None:
        self.page.evaluate(
            f"document.getElementById('article').value = {json.dumps(text)};"
            "document.getElementById('article').dispatchEvent(new Event('input'));"
            f"document.querySelector('[name=mode][value=\"{mode}\"]').click();"
            "document.getElementById('run').click()"
        )

    def told(self, name: str) -> list[str]:
        return list(self.page.evaluate(f"told.{name}"))


@pytest.fixture
def shown(client_case: ClientCase, tmp_path: Path) -> Iterator[Shown]:
    with serve.make_server(client_case.bundle, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with open_page(tmp_path / "profile") as page:
                page.resize(900, 900)
                shown = Shown(page=page, server=server, case=client_case)
                shown.open()
                yield shown
        finally:
            server.shutdown()
            thread.join()


def in_lines(text: str) -> str:
    return text.replace(" <n> ", "\n").replace("<n> ", "\n").replace("<n>", "\n")


def test_it_shows_the_summary_of_python_its_progress_and_the_text_as_it_comes(
    shown: Shown,
) -> None:
    text = shown.case.texts[0]
    ((best,),) = summarize_in_python(shown.case.bundle, [text])
    assert shown.page.evaluate("crossOriginIsolated")
    assert shown.summarize(text) == in_lines(best.text)
    loading = re.findall(r"Loading (\S+) of (\S+) MB", "\n".join(shown.told("status")))
    assert len(loading) > 5
    assert float(loading[0][0]) < 1
    assert loading[-1][0] == loading[-1][1]
    ((greedy,),) = summarize_in_python(shown.case.bundle, [text], num_beams=1)
    shown.page.evaluate("told.summary.length = 0")
    assert shown.summarize(text, "one beam") == in_lines(greedy.text)
    partial = [told for told in shown.told("summary") if told]
    assert len(partial) > 5
    for before, after in pairwise(partial):
        assert after.startswith(before)


def test_cancel_ends_it_at_once_and_the_next_one_runs(shown: Shown) -> None:
    text = shown.case.texts[0]
    shown.start(text)
    shown.page.wait_for("told.status.some((told) => told.startsWith('Loading'))")
    shown.page.evaluate("document.getElementById('cancel').click()")
    assert shown.told("status")[-1] == "Cancelled."
    ((best,),) = summarize_in_python(shown.case.bundle, [text])
    assert shown.summarize(text) == in_lines(best.text)


def test_it_works_without_a_network_once_it_was_loaded(shown: Shown) -> None:
    text = shown.case.texts[0]
    before = shown.summarize(text)
    shown.page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    shown.server.shutdown()
    shown.server.server_close()
    shown.open()
    assert shown.summarize(text) == before
    assert shown.page.evaluate("crossOriginIsolated")


def test_a_text_that_is_too_long_can_be_cut(shown: Shown) -> None:
    shown.summarize(" ".join([shown.case.texts[0]] * 200))
    assert "tokens, the bundle takes" in shown.told("status")[-1]
    shown.page.evaluate("document.getElementById('truncate').click()")
    assert shown.summarize(" ".join([shown.case.texts[0]] * 200))


@pytest.mark.parametrize(("width", "dark"), [(360, True), (900, False)])
def test_it_fits_the_window(width: int, dark: bool, shown: Shown) -> None:
    shown.page.resize(width, 780 if width > 600 else 900, dark=dark, mobile=width < 600)
    shown.summarize(shown.case.texts[0])
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    SHOTS.mkdir(parents=True, exist_ok=True)
    shown.page.screenshot(SHOTS / f"web-{width}.png")


@pytest.mark.parametrize("mode", ["beams", "one beam"])
def test_tokens_are_those_of_python(mode: str, shown: Shown) -> None:
    options = {} if mode == "beams" else {"num_beams": 1}
    expected = summarize_in_python(shown.case.bundle, shown.case.texts, **options)
    settings = shown.page.evaluate("import('./page.mjs').then((page) => page.readSettings())")
    request = {"mode": mode, "settings": settings, "texts": shown.case.texts}
    found = shown.page.evaluate(f"{RUN_ALL}({json.dumps(request)})", timeout_s=600)
    assert [tuple(ids) for ids in found] == [rows[0].token_ids for rows in expected]


def test_the_size_of_the_runtime_is_the_one_that_the_progress_counts() -> None:
    worker = (EXAMPLES / "web" / "worker.mjs").read_text("utf-8")
    assert f"size: {WASM.stat().st_size}," in worker
