"""Documents and how far each has come."""

from __future__ import annotations

import pytest

from desktop.documents import Document
from desktop.events import Ended, Failed, Finished, Started, Stepped, Wrote
from desktop.shelf import Shelf
from pegasus_runtime import Summary

SUMMARY = Summary(text="All of it.", token_ids=(5, 6, 1), score=-1.0, truncated=False)


def shelf_of(*texts: str) -> Shelf:
    shelf = Shelf()
    shelf.add([Document(name=f"{text}.txt", text=text) for text in texts])
    return shelf


def test_documents_take_the_place_of_an_empty_one_and_stand_below_others() -> None:
    shelf = shelf_of("one")
    shelf.add([Document(name="two.txt", text="two"), Document(name="three.txt", text="three")])
    assert [entry.name for entry in shelf.entries] == ["one.txt", "two.txt", "three.txt"]
    assert shelf.current.name == "two.txt"
    shelf.add([])
    assert shelf.current.name == "two.txt"


def test_a_run_is_taken_in_step_by_step() -> None:
    shelf = shelf_of("one", "two")
    first, second = shelf.entries
    shelf.begin(7, shelf.pending)
    assert (first.state, second.state) == ("waiting", "waiting")
    shelf.hear(Started(run=7, key=first.key))
    shelf.hear(Stepped(run=7, key=first.key, num_tokens=16, max_length=64))
    shelf.hear(Wrote(run=7, key=first.key, text="All"))
    assert (first.state, first.written, first.share) == ("writing", "All", 0.25)
    assert shelf.progress.share == 0.125
    assert (shelf.progress.position, shelf.progress.total) == (1, 2)
    assert shelf.progress.entry is first
    shelf.hear(Finished(run=7, key=first.key, summary=SUMMARY))
    assert (first.state, first.written, first.share) == ("done", "All of it.", 1.0)
    shelf.hear(Started(run=7, key=second.key))
    assert (shelf.progress.position, shelf.current) == (2, second)
    shelf.hear(Failed(run=7, key=second.key, message="why"))
    assert (second.state, second.message, shelf.progress.share) == ("failed", "why", 1.0)
    shelf.hear(Ended(run=7))
    assert shelf.run is None
    assert shelf.written == [first]
    assert shelf.pending == [second]


def test_what_a_cancelled_run_still_tells_is_not_listened_to() -> None:
    shelf = shelf_of("one", "two")
    first, second = shelf.entries
    shelf.begin(1, shelf.pending)
    shelf.hear(Started(run=1, key=first.key))
    shelf.hear(Wrote(run=1, key=first.key, text="All"))
    shelf.stop()
    shelf.begin(2, [second])
    for event in (
        Wrote(run=1, key=first.key, text="All of it"),
        Finished(run=1, key=first.key, summary=SUMMARY),
        Ended(run=1),
    ):
        assert shelf.hear(event) is None
    assert (first.state, first.written, first.summary) == ("stopped", "All", None)
    assert (second.state, shelf.run) == ("waiting", 2)


def test_stopping_leaves_what_was_written_and_what_was_not_begun() -> None:
    shelf = shelf_of("one", "two")
    shelf.begin(1, shelf.pending)
    shelf.hear(Started(run=1, key=shelf.entries[0].key))
    shelf.stop()
    assert [entry.state for entry in shelf.entries] == ["stopped", "new"]


def test_a_document_that_is_edited_has_no_summary() -> None:
    shelf = shelf_of("one")
    shelf.begin(1, shelf.pending)
    shelf.hear(Finished(run=1, key=shelf.current.key, summary=SUMMARY))
    shelf.edit("one")
    assert shelf.current.state == "done"
    shelf.edit("one more")
    assert (shelf.current.state, shelf.current.written, shelf.current.summary) == ("new", "", None)


def test_a_document_in_work_keeps_its_progress_whatever_is_typed() -> None:
    shelf = shelf_of("one")
    shelf.begin(1, shelf.pending)
    shelf.edit("other")
    assert shelf.current.state == "waiting"


def test_the_one_in_work_is_looked_at_until_a_person_looks_elsewhere() -> None:
    shelf = shelf_of("one", "two", "three")
    first, second, third = shelf.entries
    shelf.begin(1, shelf.pending)
    shelf.hear(Finished(run=1, key=first.key, summary=SUMMARY))
    shelf.hear(Started(run=1, key=second.key))
    assert shelf.current is second
    shelf.look_at(first)
    shelf.hear(Finished(run=1, key=second.key, summary=SUMMARY))
    shelf.hear(Started(run=1, key=third.key))
    assert shelf.current is first


def test_a_run_is_about_what_has_no_summary_or_else_about_what_is_looked_at() -> None:
    shelf = shelf_of("one", "two", " ")
    first, second, _ = shelf.entries
    assert shelf.pending == [first, second]
    shelf.begin(1, shelf.pending)
    for entry in (first, second):
        shelf.hear(Finished(run=1, key=entry.key, summary=SUMMARY))
    shelf.look_at(second)
    assert shelf.pending == [second]


def test_documents_are_put_away_and_one_empty_is_always_there() -> None:
    shelf = shelf_of("one", "two", "three")
    shelf.look_at(shelf.entries[1])
    shelf.remove(shelf.entries[1])
    assert shelf.current.text == "three"
    shelf.remove(shelf.current)
    assert shelf.current.text == "one"
    shelf.remove(shelf.current)
    assert (shelf.current.text, len(shelf.entries)) == ("", 1)
    shelf.edit("typed")
    shelf.clear()
    assert [entry.text for entry in shelf.entries] == [""]


@pytest.mark.parametrize(("tokens", "share"), [(0, 0.0), (32, 0.5), (80, 1.0)])
def test_the_share_of_a_document_is_never_more_than_all(tokens: int, share: float) -> None:
    shelf = shelf_of("one")
    shelf.begin(1, shelf.pending)
    shelf.hear(Stepped(run=1, key=shelf.current.key, num_tokens=tokens, max_length=64))
    assert shelf.current.share == share
