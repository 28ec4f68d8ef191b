"""The desk and its worker, without a window: threads, cancelling, closing."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from desktop.bundles import choose_first, find_built_in, find_example, load
from desktop.desk import Desk
from desktop.events import Ended, Event, Failed, Opened, OpenFailed, Wrote
from examples.fake_desktop_summarizer import FACTS, FakeSummarizer, load_fake
from pegasus_runtime import GenerationOptions

WAIT_S = 10.0


class Bench:
    """A desk, a fake behind it, and what was told in the worker's thread."""

    def __init__(self) -> None:
        self.fake = FakeSummarizer()
        self.told: queue.Queue[Event] = queue.Queue()
        self.desk = Desk(load_fake(self.fake), self.told.put)

    def hear_until(self, is_last: Callable[[Event], bool]) -> list[Event]:
        """Hands events on, as the window does, up to the one that is waited for."""
        heard = []
        while True:
            event = self.told.get(timeout=WAIT_S)
            self.desk.hear(event)
            heard.append(event)
            if is_last(event):
                return heard

    def open(self) -> None:
        self.desk.open_bundle(Path("bundle"))
        self.hear_until(lambda event: isinstance(event, Opened))

    def add(self, folder: Path, *texts: str) -> None:
        for number, text in enumerate(texts):
            (folder / f"{number}.txt").write_text(text)
        self.desk.add_files([folder])


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.fake.is_free.set()
    made.desk.close()


def has_ended(event: Event) -> bool:
    return isinstance(event, Ended)


def test_documents_are_summarised_in_order_word_by_word(bench: Bench, tmp_path: Path) -> None:
    bench.open()
    bench.add(tmp_path, "A red boat. More.", "Snow falls. More.")
    bench.desk.start(GenerationOptions(num_beams=4))
    heard = bench.hear_until(has_ended)
    words = [event.text for event in heard if isinstance(event, Wrote)]
    assert words == ["A", "A red", "A red boat.", "Snow", "Snow falls."]
    assert [entry.written for entry in bench.desk.shelf.written] == ["A red boat.", "Snow falls."]
    assert bench.fake.options == [GenerationOptions(num_beams=4)] * 2
    assert bench.desk.status == "2 of 2 summarised"


def test_a_document_that_fails_says_why_and_the_next_is_summarised(
    bench: Bench, tmp_path: Path
) -> None:
    bench.open()
    bench.add(tmp_path, "fail.", "Snow falls.")
    bench.desk.start(GenerationOptions())
    heard = bench.hear_until(has_ended)
    (failed,) = [event for event in heard if isinstance(event, Failed)]
    assert failed.message == "ValueError: a broken summarizer"
    assert [entry.state for entry in bench.desk.shelf.entries] == ["failed", "done"]


@pytest.mark.parametrize("text", ["A slow boat sails.", "A slow and late boat sails."])
def test_cancelling_answers_at_once_even_if_the_engine_does_not(
    bench: Bench, tmp_path: Path, text: str
) -> None:
    bench.open()
    bench.add(tmp_path, text, "Snow falls.")
    bench.desk.start(GenerationOptions())
    assert bench.fake.is_held.wait(WAIT_S)
    bench.hear_until(lambda event: isinstance(event, Wrote) and event.text == "A slow")
    start = time.monotonic()
    bench.desk.cancel()
    assert time.monotonic() - start < 0.1
    assert [entry.state for entry in bench.desk.shelf.entries] == ["stopped", "new"]
    assert bench.desk.status == "Cancelled"
    assert bench.desk.can_start
    bench.desk.shelf.look_at(bench.desk.shelf.entries[1])
    bench.desk.shelf.entries[0].text = ""
    bench.desk.start(GenerationOptions())  # queued behind what the engine still does
    if "late" in text:
        bench.fake.is_free.set()
    heard = bench.hear_until(has_ended)
    assert not [event for event in heard if isinstance(event, Failed)]  # it was no fault
    bench.hear_until(has_ended)
    assert [entry.written for entry in bench.desk.shelf.entries] == ["A slow", "Snow falls."]


def test_closing_while_it_runs_ends_the_thread_and_lets_go_of_the_engine(
    bench: Bench, tmp_path: Path
) -> None:
    bench.open()
    bench.add(tmp_path, "A slow boat sails.")
    bench.desk.start(GenerationOptions())
    assert bench.fake.is_held.wait(WAIT_S)
    bench.desk.close()
    assert bench.fake.is_closed
    assert "summarizer" not in {thread.name for thread in threading.enumerate()}


def test_a_bundle_that_cannot_be_loaded_leaves_the_old_one_in_place(bench: Bench) -> None:
    bench.open()
    bench.desk.open_bundle(Path("broken"))
    assert (bench.desk.is_loading, bench.desk.hint) == (True, "Loading the model …")
    bench.hear_until(lambda event: isinstance(event, OpenFailed))
    assert bench.desk.problem == ("This model cannot be loaded: broken: there is no manifest.json")
    assert bench.desk.facts == FACTS
    assert not bench.fake.is_closed


def test_nothing_starts_without_a_model_or_a_text(bench: Bench, tmp_path: Path) -> None:
    bench.add(tmp_path, "Snow falls.")
    assert not bench.desk.can_start
    assert bench.desk.hint == "Choose a model first"
    bench.desk.start(GenerationOptions())
    assert not bench.desk.is_running
    bench.open()
    assert bench.desk.can_start
    bench.desk.shelf.clear()
    assert not bench.desk.can_start


def test_files_that_cannot_be_read_are_told_together(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Snow falls.")
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    bench.desk.add_files([tmp_path / "good.txt", tmp_path / "bad.txt", tmp_path / "gone.txt"])
    assert [entry.name for entry in bench.desk.shelf.entries] == ["good.txt"]
    assert bench.desk.problem.startswith("bad.txt is not text in UTF-8: save it as such; gone.txt")
    empty = tmp_path / "empty"
    empty.mkdir()
    bench.desk.add_files([empty])
    assert bench.desk.problem == "There are no text files (*.txt) in this folder"


def test_a_file_that_cannot_be_written_is_told_and_the_old_one_stays(
    bench: Bench, tmp_path: Path
) -> None:
    target = tmp_path / "summary.txt"
    bench.desk.save(target, "Snöw falls.\n")
    assert target.read_text("utf-8") == "Snöw falls.\n"
    assert bench.desk.status == "Saved summary.txt"
    bench.desk.save(tmp_path / "gone" / "summary.txt", "Rain.\n")
    assert bench.desk.problem.startswith("summary.txt cannot be saved: No such file")
    bench.desk.save(tmp_path, "Rain.\n")
    assert bench.desk.problem.startswith(f"{tmp_path.name} cannot be saved: Is a directory")
    bench.desk.save(target / "summary.txt", "Rain.\n")
    assert bench.desk.problem.startswith("summary.txt cannot be saved: Not a directory")
    bench.desk.save(tmp_path / ("x" * 300), "Rain.\n")
    assert "xx cannot be saved: File name too long" in bench.desk.problem
    assert [path.name for path in tmp_path.iterdir()] == ["summary.txt"]
    longest = tmp_path / ("x" * 251 + ".txt")
    bench.desk.save(longest, "Rain.\n")
    assert longest.read_text("utf-8") == "Rain.\n"
    longest.unlink()
    assert [path.name for path in tmp_path.parent.glob(".*.part")] == []


def test_the_bundle_to_begin_with_is_what_was_asked_for_then_the_last_one(tmp_path: Path) -> None:
    last = tmp_path / "last"
    last.mkdir()
    built_in = choose_first(None, "")
    assert choose_first(tmp_path / "asked", str(last)) == tmp_path / "asked"
    assert choose_first(None, str(last)) == built_in  # it is no bundle any more
    (last / "manifest.json").touch()
    assert choose_first(None, str(last)) == last
    assert choose_first(None, str(tmp_path / ("x" * 300))) == built_in  # the system asks for less


def test_a_packaged_program_has_its_bundle_and_its_example_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)  # as PyInstaller does
    assert (find_built_in(), find_example()) == (None, None)
    (tmp_path / "bundle").mkdir()
    for name in ("bundle/manifest.json", "earthquake_623.txt"):
        (tmp_path / name).touch()
    assert find_built_in() == tmp_path / "bundle"
    assert find_example() == tmp_path / "earthquake_623.txt"


def test_a_real_bundle_writes_what_its_summarizer_writes(
    tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    told: queue.Queue[Event] = queue.Queue()
    bench = Bench()
    bench.desk.close()
    bench.desk, bench.told = Desk(load, told.put), told
    folder = tiny_bundle()
    bench.desk.open_bundle(folder)
    bench.hear_until(lambda event: isinstance(event, Opened))
    facts = bench.desk.facts
    assert facts is not None
    assert replace(facts, name="", num_bytes=0).folder == folder
    text = "The old miller sold a red boat in March. " * 40
    bench.add(tmp_path, text)
    options = GenerationOptions(num_beams=2, max_length=12)
    bench.desk.start(options)
    bench.hear_until(has_ended)
    bench.desk.close()
    (entry,) = bench.desk.shelf.written
    assert entry.summary is not None
    assert entry.summary.truncated
    summarizer = load(folder).summarizer
    *_, expected = summarizer.stream(text, options, truncate=True)
    assert entry.summary == expected
    assert entry.written == expected.text
