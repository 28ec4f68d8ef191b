"""What stands above a summary in the desktop example."""

from __future__ import annotations

from dataclasses import replace

from desktop.notices import notice_of
from desktop.shelf import Entry
from pegasus_runtime import Summary

SUMMARY = Summary(text="All of it.", token_ids=(5, 6, 1), score=-1.0, truncated=False)


def said_of(summary: Summary) -> str | None:
    notice = notice_of(
        Entry(key=1, name="a", text="b", is_pasted=False, state="done", summary=summary), None
    )
    return None if notice is None else notice.text


def test_a_summary_as_it_should_be_has_nothing_above_it() -> None:
    assert said_of(SUMMARY) is None
    assert said_of(replace(SUMMARY, unknown_share=0.19, control_characters=3)) is None


def test_html_stands_above_it() -> None:
    assert said_of(replace(SUMMARY, looks_like_html=True)) == (
        "The document has HTML, whose tags this model reads as words: save it as text."
    )


def test_what_else_is_odd_stands_there_too() -> None:
    said = said_of(replace(SUMMARY, truncated=True, unknown_share=0.4, looks_like_html=True))
    assert said is not None
    assert said.count(".") == 3
    assert "does not know 40 % of the document's characters" in said
