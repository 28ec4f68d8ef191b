"""The page of pegasus-serve in a tab: what a person does and sees there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.chromium import Page, open_page

__all__ = ["Tab", "open_tab"]

# All that #output shows goes to window.shown, and what #status says to window.said.
_WATCH = """
window.shown = [];
window.said = [];
for (const [id, told] of [["output", shown], ["status", said]]) {
  const element = document.getElementById(id);
  new MutationObserver(() => told.push(element.textContent)).observe(element, {
    childList: true, characterData: true, subtree: true,
  });
}
0
"""
_KEYS = {"Enter": 13, "Escape": 27}


class Tab:
    """A tab that has been told to note what goes wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.origin = ""
        for domain in ("Runtime", "Log", "Network", "Page"):
            page.send(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Until the page is there, and has its models."""
        self.page.events.clear()
        self.origin = url
        self.page.goto(url)
        self.wait("!!document.querySelector('#model option, .note')")
        self.page.evaluate(_WATCH)

    def wait(self, expression: str) -> None:
        self.page.wait_for(expression, timeout_s=30)

    def click(self, name: str) -> None:
        """What has this id."""
        assert self.is_shown(name), f"#{name} cannot be seen"
        self.page.evaluate(f"document.getElementById('{name}').click()")

    def press(self, label: str) -> None:
        """The button of a note."""
        self.page.evaluate(
            "[...document.querySelectorAll('.note button')]"
            f".find((each) => each.textContent === {json.dumps(label)}).click()"
        )

    def set(self, selector: str, value: object) -> None:
        """A field, as if somebody had typed into it or chosen there."""
        self.page.evaluate(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            f"field.value = {json.dumps(value)};"
            "for (const name of ['input', 'change'])"
            " field.dispatchEvent(new Event(name, { bubbles: true })); })()"
        )

    def key(self, key: str, *, ctrl: bool = False) -> None:
        code = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        for kind in ("rawKeyDown", "keyUp"):
            self.page.send("Input.dispatchKeyEvent", type=kind, modifiers=2 * ctrl, **code)

    def text(self, name: str) -> str:
        return str(self.page.evaluate(f"document.getElementById('{name}').textContent"))

    def is_shown(self, name: str) -> bool:
        return bool(self.page.evaluate(f"document.getElementById('{name}').checkVisibility()"))

    def notes(self) -> list[str]:
        texts = "[...document.querySelectorAll('.note span')].map((each) => each.textContent)"
        return list(self.page.evaluate(texts))

    def shown(self) -> list[str]:
        """All that stood in #output so far."""
        return list(self.page.evaluate("shown"))

    def run(self, text: str | None = None) -> str:
        """Fills the text in, presses the button, waits; gives what came out."""
        if text is not None:
            self.set("#text", text)
        self.click("run")
        return self.finish()

    def finish(self) -> str:
        self.wait("!document.getElementById('run').hidden")
        return self.text("output")

    def problems(self) -> list[str]:
        """Exceptions, what the console has of errors and violations, requests to others."""
        self.page.evaluate("0")  # what was told until now comes before this answer
        return [told for event in self.page.events for told in self._problem(event)]

    def _problem(self, event: Mapping[str, Any]) -> Iterator[str]:
        values = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            yield json.dumps(values["exceptionDetails"])
        if event["method"] == "Log.entryAdded" and values["entry"]["source"] != "network":
            yield values["entry"]["text"]
        if event["method"] == "Runtime.consoleAPICalled":
            yield json.dumps(values["args"])
        if event["method"] == "Network.requestWillBeSent":
            url = values["request"]["url"]
            if not url.startswith((self.origin, "data:")):
                yield f"a request to {url}"


@contextmanager
def open_tab(profile: Path) -> Iterator[Tab]:
    with open_page(profile) as page:
        page.resize(1040, 660)
        yield Tab(page)
