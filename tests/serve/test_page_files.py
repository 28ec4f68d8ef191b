"""The page's files, as far as they can be held to something without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pegasus_serve.routes.page_files import INDEX, read_page

FILES = {name: file.content.decode() for name, file in read_page().items()}
FOLDER = Path(__file__).resolve().parents[2] / "runtime" / "pegasus_serve" / "page"
# Texts, and what they stand on.
PAIRS = (
    ("text", "window"),
    ("text", "surface"),
    ("text", "field"),
    ("text", "hover"),
    ("muted", "window"),
    ("muted", "surface"),
    ("accent", "surface"),
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    ("on-warning", "warning"),
    ("on-error", "error"),
)


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_file_is_served() -> None:
    assert set(FILES) == {path.name for path in FOLDER.iterdir()}


def test_files_ask_for_each_other_and_nothing_else() -> None:
    for name, text in FILES.items():
        prefix = "page/" if name == INDEX else "./"
        named = re.findall(r'(?:from|src=|href=) ?"([^"]*)"', text)
        assert [each for each in named if not each.startswith((prefix, "data:,"))] == []
        assert {each.removeprefix(prefix) for each in named} - {"data:,"} <= set(FILES)
        assert "http:" not in text
        assert "https:" not in text
        assert "url(" not in text


def test_text_is_never_read_as_markup_or_code() -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|DOMParser"
    for text in FILES.values():
        assert re.findall(ways, text) == []
    assert re.findall(r"<style|style=|\son\w+=|<script>", FILES[INDEX]) == []


def test_nothing_is_kept() -> None:
    for text in FILES.values():
        assert re.findall(r"localStorage|sessionStorage|indexedDB|cookie", text) == []


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_texts_stand_out(text: str, ground: str, scheme: int) -> None:
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", FILES["style.css"])
    colours = {name: pair[scheme] for name, *pair in found}
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".mjs")])
def test_a_module_is_short(name: str) -> None:
    lines = FILES[name].splitlines()
    assert len(lines) <= 200
    assert name == "example.mjs" or max(map(len, lines)) <= 100
