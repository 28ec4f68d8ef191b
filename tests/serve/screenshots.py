"""The pictures of docs/serving.md, of the page as it is now: make serve-screenshots.

    PYTHONPATH=tests python -m serve.screenshots BUNDLE docs

Light: a text that was cut. Dark: a summary while it comes. Narrow: a telephone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from examples.chromium import CHROMIUM
from serve.running_server import run_server
from serve.tab import Tab, open_tab

__all__ = ["take_all"]

_ARTICLES = Path(__file__).resolve().parents[2] / "examples" / "articles"
_MAX_BYTES = 150_000
# As over a slow network: what comes is held back, so that a picture can be taken meanwhile.
_SLOWLY = """
const { fetch } = window;
window.fetch = async (...words) => {
  const response = await fetch(...words);
  const slowly = new TransformStream({
    async transform(chunk, controller) {
      await new Promise((resolve) => setTimeout(resolve, window.pause_ms ?? 0));
      controller.enqueue(chunk);
    },
  });
  const { status, headers } = response;
  return new Response(response.body.pipeThrough(slowly), { status, headers });
};
"""


def take_all(tab: Tab, url: str, output: Path) -> None:
    """Writes the pictures."""
    articles = [path.read_text("utf-8").strip() for path in sorted(_ARTICLES.glob("*.txt"))]
    tab.page.send("Page.addScriptToEvaluateOnNewDocument", source=_SLOWLY)
    tab.open(url)
    tab.set("#long", "truncate")
    tab.run("\n\n".join(articles))
    _take(tab, output / "serve-light.png")
    tab.page.resize(1040, 660, dark=True)
    tab.open(url)
    tab.page.evaluate("window.pause_ms = 400")
    tab.set("#text", articles[3])
    tab.set("[data-option=num_beams]", 1)
    tab.click("more-button")
    tab.click("run")
    tab.wait("document.getElementById('output').textContent.length > 60")
    _take(tab, output / "serve-dark.png")
    tab.page.resize(390, 780, mobile=True)
    tab.open(url)
    tab.run(articles[0])
    _take(tab, output / "serve-narrow.png")


def _take(tab: Tab, path: Path) -> None:
    tab.page.evaluate("document.activeElement.blur()")
    tab.page.screenshot(path)
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes, at most {_MAX_BYTES:,} are wanted")
    print(f"{path.name}: {size:,} bytes")


def main() -> int:
    if CHROMIUM is None:
        raise FileNotFoundError("there is no chromium: install the system's package")
    bundle, output = map(Path, sys.argv[1:])
    with (
        tempfile.TemporaryDirectory() as profile,
        run_server(f"pegasus-mini={bundle}") as server,
        open_tab(Path(profile)) as tab,
    ):
        take_all(tab, server.url, output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
