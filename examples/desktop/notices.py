"""What a person has to know of a summary, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from desktop.events import BundleFacts
from desktop.shelf import Entry, Progress

__all__ = ["Notice", "details_of", "notice_of", "progress_text", "size_text", "words_text"]

_MANY_UNKNOWN = 0.2
"""From here on `Summary.unknown_share` says that a summary may be made up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """kind: "error" for what went wrong, "warning" for what is not as one may think."""

    kind: Literal["warning", "error"]
    text: str


def notice_of(entry: Entry, facts: BundleFacts | None) -> Notice | None:
    """What stands above a summary, if anything has to."""
    if entry.state == "failed":
        return Notice(kind="error", text=f"No summary: {entry.message}")
    if entry.state == "stopped":
        return Notice(kind="warning", text="Cancelled: this is no whole summary.")
    if entry.summary is None:
        return None
    said = []
    if entry.summary.truncated:
        limit = f"the {facts.max_source_tokens:,} tokens that" if facts else "what"
        said.append(f"The document is longer than {limit} this model reads: its end was left out.")
    if entry.summary.unknown_share >= _MANY_UNKNOWN:
        share = round(100 * entry.summary.unknown_share)
        said.append(
            f"This model does not know {share} % of the document's characters: the summary may "
            "well be made up."
        )
    if entry.summary.looks_like_html:
        said.append("The document has HTML, whose tags this model reads as words: save it as text.")
    return Notice(kind="warning", text=" ".join(said)) if said else None


def details_of(entry: Entry) -> str:
    """The line below a summary."""
    if entry.summary is None:
        return ""
    num_tokens = len(entry.summary.token_ids)
    seconds = entry.summary.seconds
    took = f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}"
    return f"{words_text(entry.summary.text)} · {num_tokens} tokens · {took} s"


def progress_text(progress: Progress) -> str:
    """What is going on, in a line."""
    entry = progress.entry
    if entry is None:
        return "Starting …"
    doing = (
        "Reading the document …"
        if entry.state == "reading"
        else f"Writing: {entry.num_tokens} tokens of at most {entry.max_length}"
    )
    if progress.total == 1:
        return doing
    return f"{doing} ({progress.position} of {progress.total}, {entry.name})"


def words_text(text: str) -> str:
    """How many words, as whoever wrote it counts them."""
    count = len(text.split())
    return f"{count:,} word{'' if count == 1 else 's'}"


def size_text(num_bytes: int) -> str:
    """Megabytes, or gigabytes."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"
