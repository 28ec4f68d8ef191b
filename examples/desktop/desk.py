"""What the window does, without the window: documents, a model, and the work on them.

Its methods are called in one thread; what the worker tells in another comes back by `hear`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from desktop.documents import DocumentError, find_files, read_document
from desktop.events import BundleFacts, Ended, Event, Opened, OpenFailed, Wrote
from desktop.save_summaries import SaveError, save_text
from desktop.shelf import Shelf
from desktop.worker import Load, Worker
from pegasus_runtime import GenerationOptions

__all__ = ["Desk"]


class Desk:
    """One shelf, one worker, one model at a time.

    problem: what went wrong and is of no one document, until it is dismissed; status: what was
    done last, in a word or two.
    """

    def __init__(self, load: Load, tell: Callable[[Event], None]) -> None:
        self.shelf = Shelf()
        self.facts: BundleFacts | None = None
        self.is_loading = False
        self.problem = ""
        self.status = ""
        self._worker = Worker(load, tell)

    @property
    def is_running(self) -> bool:
        return self.shelf.run is not None

    @property
    def is_empty(self) -> bool:
        """Nothing is there that could be put away."""
        first = self.shelf.entries[0]
        return len(self.shelf.entries) == 1 and not first.text and first.state == "new"

    @property
    def can_start(self) -> bool:
        is_ready = self.facts is not None and not self.is_loading and not self.is_running
        return is_ready and bool(self.shelf.pending)

    @property
    def hint(self) -> str:
        """What is waited for, or what was done last."""
        if self.is_loading:
            return "Loading the model …"
        return self.status if self.facts else "Choose a model first"

    def open_bundle(self, folder: Path) -> None:
        """Loads a bundle; one that cannot be loaded leaves the old one in place."""
        self.is_loading, self.problem, self.status = True, "", ""
        self._worker.open(folder)

    def add_files(self, paths: Iterable[Path]) -> None:
        """Puts text files on the shelf; which cannot be read is the problem."""
        documents, problems = [], []
        for path in find_files(paths):
            try:
                documents.append(read_document(path))
            except DocumentError as err:
                problems.append(str(err))
        if not documents and not problems:
            problems.append("There are no text files (*.txt) in this folder")
        self.shelf.add(documents)
        self.problem, self.status = "; ".join(problems), ""

    def start(self, options: GenerationOptions) -> None:
        """Summarises what has no summary yet."""
        if not self.can_start:
            return
        entries = self.shelf.pending
        texts = {entry.key: entry.text for entry in entries}
        self.shelf.begin(self._worker.start(texts, options), entries)
        self.status = ""

    def cancel(self) -> None:
        """Answers at once: what the engine still does is not listened to."""
        if self.is_running:
            self._worker.cancel()
            self.shelf.stop()
            self.status = "Cancelled"

    def save(self, path: Path, text: str) -> None:
        """Writes a file, or says why not."""
        try:
            save_text(path, text)
        except SaveError as err:
            self.problem = str(err)
        else:
            self.status = f"Saved {path.name}"

    def hear(self, event: Event) -> Literal["nothing", "text", "all"]:
        """Takes in what the worker tells: how much of the window has changed by it."""
        if isinstance(event, Opened):
            self.is_loading, self.facts = False, event.facts
            return "all"
        if isinstance(event, OpenFailed):
            self.is_loading = False
            self.problem = f"This model cannot be loaded: {event.message}"
            return "all"
        if event.run != self.shelf.run:
            return "nothing"
        entry = self.shelf.hear(event)
        if isinstance(event, Ended):
            self.status = self._outcome()
        if isinstance(event, Wrote):
            return "text" if entry is self.shelf.current else "nothing"
        return "all"

    def close(self) -> None:
        """Ends the work, and waits until the engine has let go."""
        self.shelf.stop()
        self._worker.close()

    def _outcome(self) -> str:
        done, total = len(self.shelf.written), len(self.shelf.entries)
        if total == 1:
            return "Done" if done else ""
        return f"{done} of {total} summarised"
