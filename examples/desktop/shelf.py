"""The documents in the window, and how far each has come: everything it shows, without Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from desktop.documents import Document
from desktop.events import Ended, Failed, Finished, RunEvent, Started, Stepped, Wrote
from pegasus_runtime import Summary

__all__ = ["Entry", "Progress", "Shelf", "State"]

State: TypeAlias = Literal["new", "waiting", "reading", "writing", "done", "failed", "stopped"]
_IN_WORK: tuple[State, ...] = ("waiting", "reading", "writing")


@dataclass(slots=True, kw_only=True)
class Entry:
    """One document: its text, and what has become of it."""

    key: int
    name: str
    text: str
    is_pasted: bool
    state: State = "new"
    written: str = ""
    """The summary's text, as far as it is there."""
    summary: Summary | None = None
    message: str = ""
    """Why it failed."""
    num_tokens: int = 0
    max_length: int = 0

    @property
    def is_in_work(self) -> bool:
        """A run is going to do it, or is at it: its text stays as it is."""
        return self.state in _IN_WORK

    @property
    def share(self) -> float:
        """Of its work that is done, from 0 to 1: at most, as no summary has to be the longest."""
        if self.state in ("done", "failed"):
            return 1.0
        return min(1.0, self.num_tokens / self.max_length) if self.max_length else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Of a run: which document is on, and the share of all work that is done."""

    position: int
    total: int
    share: float
    entry: Entry | None


@dataclass(slots=True, kw_only=True)
class Shelf:
    """There is always one entry at least, which may be empty; one of them is looked at."""

    entries: list[Entry] = field(default_factory=list)
    current: Entry = field(init=False)
    run: int | None = None
    """The run that is listened to; None while nothing runs."""
    _of_run: list[Entry] = field(default_factory=list)
    _num_keys: int = 0
    _follows: bool = True
    """Whether the entry that is being written is looked at, until a person looks at another."""

    def __post_init__(self) -> None:
        self.current = self._append("", "", is_pasted=True)

    def add(self, documents: Sequence[Document]) -> None:
        """Puts documents below the others, in place of an empty one, and looks at the first."""
        if not documents:
            return
        self.entries = [
            entry for entry in self.entries if entry.text.strip() or entry.state != "new"
        ]
        added = [self._append(each.name, each.text, is_pasted=False) for each in documents]
        self.current = added[0]

    def clear(self) -> None:
        """Back to one empty entry; only while nothing runs."""
        self.entries = []
        self.current = self._append("", "", is_pasted=True)

    def remove(self, entry: Entry) -> None:
        """Takes one away, and looks at the one that takes its place; only while nothing runs."""
        position = self.entries.index(entry)
        self.entries.remove(entry)
        if not self.entries:
            self._append("", "", is_pasted=True)
        self.current = self.entries[min(position, len(self.entries) - 1)]

    def look_at(self, entry: Entry) -> None:
        self.current = entry
        self._follows = entry.is_in_work

    def edit(self, text: str) -> None:
        """The current document's text has changed: what was written is not its summary."""
        entry = self.current
        if text == entry.text:
            return
        entry.text = text
        if not entry.is_in_work:
            _reset(entry, "new")

    @property
    def pending(self) -> list[Entry]:
        """What a run would do: all that have text and no summary; the current one, if all have."""
        full = [entry for entry in self.entries if entry.text.strip()]
        return [entry for entry in full if entry.state != "done"] or [
            entry for entry in full if entry is self.current
        ]

    def begin(self, run: int, entries: Sequence[Entry]) -> None:
        """The run with this number is about these entries."""
        self.run, self._of_run, self._follows = run, list(entries), True
        for entry in entries:
            _reset(entry, "waiting")

    def stop(self) -> None:
        """Listens no longer to the run; what was written so far stays."""
        self.run = None
        for entry in self._of_run:
            if entry.is_in_work:
                entry.state = "new" if entry.state == "waiting" else "stopped"

    def hear(self, event: RunEvent) -> Entry | None:
        """Takes an event in: the entry that has changed, if any."""
        if event.run != self.run:  # cancelled meanwhile
            return None
        if isinstance(event, Ended):
            self.stop()
            return None
        entry = next(entry for entry in self._of_run if entry.key == event.key)
        match event:
            case Started():
                entry.state = "reading"
                if self._follows:
                    self.current = entry
            case Stepped():
                entry.state = "writing"
                entry.num_tokens, entry.max_length = event.num_tokens, event.max_length
            case Wrote():
                entry.written = event.text
            case Finished():
                entry.state, entry.summary = "done", event.summary
                entry.written = event.summary.text
            case Failed():
                entry.state, entry.message = "failed", event.message
        return entry

    @property
    def progress(self) -> Progress:
        """Of the run that was begun last."""
        total = len(self._of_run)
        active = [entry for entry in self._of_run if entry.state in ("reading", "writing")]
        ended = sum(entry.state in ("done", "failed", "stopped") for entry in self._of_run)
        return Progress(
            position=min(ended + 1, total),
            total=total,
            share=sum(entry.share for entry in self._of_run) / total if total else 0.0,
            entry=active[0] if active else None,
        )

    @property
    def written(self) -> list[Entry]:
        """Those with a whole summary."""
        return [entry for entry in self.entries if entry.summary is not None]

    def _append(self, name: str, text: str, *, is_pasted: bool) -> Entry:
        self._num_keys += 1
        entry = Entry(
            key=self._num_keys, name=name or "Pasted text", text=text, is_pasted=is_pasted
        )
        self.entries.append(entry)
        return entry


def _reset(entry: Entry, state: State) -> None:
    entry.state, entry.written, entry.summary, entry.message = state, "", None, ""
    entry.num_tokens = entry.max_length = 0
