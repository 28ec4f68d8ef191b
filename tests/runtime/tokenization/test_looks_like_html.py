"""HTML is recognised, and what only has angle brackets or ampersands is not taken for it."""

import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.tokenization.looks_like_html import looks_like_html

HTML = [
    "<p>Rain fell.</p>",
    "<P>Rain fell.",
    "One.<p>Two.",
    "the end.<p>",
    "word <p>",
    "</p>",
    "<p class=x>",
    "Hello<br>World",
    "Hello<br/>World",
    "Hello<br />World",
    "<div>so",
    '<div id="x">so',
    "</span>",
    "<TABLE border=1>",
    "<td>1",
    "<h1>Title</h1>",
    '<a href="https://example.org">so</a>',
    "<a\n   href='x'>",
    "<img src=x>",
    "<b>bold</b>",
    "x<sup>2</sup>",
    "<meta charset=utf-8>",
    '<input class="x" disabled>',
    '<section data-part="x">',
    "<!DOCTYPE html>",
    '<!doctype  HTML PUBLIC "-//W3C//DTD HTML 4.01//EN">',
    "<!-- a comment -->",
    "a&nbsp;b",
    "AT&amp;T",
    "1 &lt; 2",
    "it&#39;s",
    "it&#x2019;s",
    "it&rsquo;s",
    "caf&eacute;",
    "a`<br>`b and <br>",
    'he said "<p>hi</p>"',
    "it's <br>",
    'he said "yes."<br>"No," she said',
    "\u00bbJa\u00ab<br>\u00bbNein\u00ab",
    '"<a href=x',
    "20 &deg;C",
    "5 &times; 3 &rarr; 15",
    "&bdquo;so&rdquo;",
    "co&shy;operate",
]
NOT_HTML = [
    "",
    "plain text",
    "a < b > c",
    "a<b>c and a <i> c",
    "1<p>0",
    "x<p>y",
    "a<u>b",
    "<b and c>",
    "i<em dash",
    "<p",
    "<<<>>>",
    "I <3 you -> there <-",
    "<n>",
    "one<n>two",
    "<mask_1> and <mask_2>",
    "<s> a sequence </s>",
    "<pad> <unk> <sep>",
    "<joe@x.org>",
    "<p@x.org>",
    "<https://x.org/p>",
    "List<String> x = new ArrayList<>()",
    "#include <stdio.h>",
    "std::vector<int> v",
    "<config><name>x</name></config>",
    '<?xml version="1.0"?><item id="3"/>',
    '<section id="x">',
    "git checkout <branch>, <title>, <table>, <code>",
    "cat <<EOF",
    "R&D; Q&A; rock & roll; a && b",
    "f(&x); g(&value);",
    "&#;  &#x;  &#12345678;  &#x1234567;",
    "write `<br>` there",
    "the tag '<p>' is",
    "an \"<div class='x'>\" of it",
    "\u201c<br>\u201d and \u2018<hr>\u2019",
    "the entity `&nbsp;`",
    "\u201e<br>\u201c, \u00ab<p>\u00bb",
    'f("<br>") and x="<br>"',
]


@pytest.mark.parametrize("text", HTML)
def test_html_is_recognised(text: str) -> None:
    assert looks_like_html(text)
    assert looks_like_html(f"Some words.\n{text}\nMore of them.")


@pytest.mark.parametrize("text", NOT_HTML)
def test_what_is_no_html_is_not_taken_for_it(text: str) -> None:
    assert not looks_like_html(text)
    assert not looks_like_html(f"Some words.\n{text}\nMore of them.")


@given(st.text(alphabet=st.characters(exclude_characters="<&")))
def test_a_text_without_brackets_and_ampersands_is_none(text: str) -> None:
    assert not looks_like_html(text)


@given(st.text(), st.sampled_from("<>&\"'"), st.text())
def test_what_was_escaped_is_recognised(before: str, sign: str, after: str) -> None:
    escaped = html.escape(f"{before}.{sign}.{after}")
    assert looks_like_html(escaped)


@given(st.text(), st.sampled_from(HTML), st.text())
def test_what_stands_around_it_hides_nothing(before: str, sign: str, after: str) -> None:
    assert looks_like_html(f"{before}\n{sign}\n{after}")


@given(st.lists(st.sampled_from([*NOT_HTML, "<", ">", "&", ";", "5"]), max_size=20))
def test_many_things_that_are_none_are_none_together(parts: list[str]) -> None:
    assert not looks_like_html("\n\n".join(parts))


@pytest.mark.parametrize(
    "part",
    [
        "<",
        "<p",
        "<a ",
        "<div ",
        "<div" + " " * 98,
        "x<p>y",
        "&",
        "&#1",
        "`<br>`",
        '"<div a=>"',
        "\n",
    ],
)
def test_a_hostile_megabyte_takes_a_second_at_most(part: str) -> None:
    text = part * (1_000_000 // len(part))
    begun = time.process_time()
    assert not looks_like_html(text)
    assert time.process_time() - begun < 3


def test_ten_megabytes_with_signs_here_and_there_take_a_moment() -> None:
    text = "Rain & snow fell < 3 cm on `<br>` Monday, said <joe@x.org> of R&D; " * 150_000
    begun = time.process_time()
    assert not looks_like_html(text)
    assert time.process_time() - begun < 5
