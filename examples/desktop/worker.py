"""The thread that loads bundles and summarises, so that the window never waits.

It knows no Qt: what happens is told to a function, in this thread.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from desktop.events import (
    BundleFacts,
    Ended,
    Event,
    Failed,
    Finished,
    Opened,
    OpenFailed,
    Started,
    Stepped,
    Wrote,
)
from pegasus_runtime import GenerationInterrupted, GenerationOptions, PegasusError, Summary

if TYPE_CHECKING:
    from pegasus_runtime import Partial

__all__ = ["Load", "Loaded", "Streaming", "Worker"]


class Streaming(Protocol):
    """What is needed of a Summarizer."""

    def stream(
        self,
        document: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        on_step: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Partial | Summary]:
        """The text as far as it is certain, again and again; at last, the summary."""

    def close(self) -> None:
        """Lets go of the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A bundle that is ready, and what the window needs to know of it."""

    summarizer: Streaming
    facts: BundleFacts


Load = Callable[[Path], Loaded]
"""Loads a bundle's folder. Raises: PegasusError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    number: int
    texts: Mapping[int, str]
    options: GenerationOptions
    cancel: threading.Event = field(default_factory=threading.Event)


class Worker:
    """Does one thing after the other: what it was asked for first, first."""

    def __init__(self, load: Load, tell: Callable[[Event], None]) -> None:
        self._load = load
        self._tell = tell
        self._summarizer: Streaming | None = None
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._run: _Run | None = None
        self._num_runs = 0
        self._thread = threading.Thread(target=self._work, name="summarizer")
        self._thread.start()

    def open(self, folder: Path) -> None:
        """Loads this bundle in place of the one that is loaded."""
        self._asked.put(partial(self._open, folder))

    def start(self, texts: Mapping[int, str], options: GenerationOptions) -> int:
        """Summarises texts by their keys, in order. The number of the run."""
        self._num_runs += 1
        self._run = _Run(number=self._num_runs, texts=dict(texts), options=options)
        self._asked.put(partial(self._summarize, self._run))
        return self._run.number

    def cancel(self) -> None:
        """Ends the run as soon as the engine lets go; returns at once."""
        if self._run is not None:
            self._run.cancel.set()

    def close(self) -> None:
        """Ends the run and the thread, and waits for it."""
        self.cancel()
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._asked.get()) is not None:
            task()
        self._let_go()

    def _let_go(self) -> None:
        if self._summarizer is not None:
            self._summarizer.close()
        self._summarizer = None

    def _open(self, folder: Path) -> None:
        try:
            loaded = self._load(folder)
        except Exception as err:  # a person has to see it, whatever it is
            self._tell(OpenFailed(folder=folder, message=_explain(err)))
            return
        self._let_go()  # only now: a bundle that cannot be loaded leaves the old one in place
        self._summarizer = loaded.summarizer
        self._tell(Opened(facts=loaded.facts))

    def _summarize(self, run: _Run) -> None:
        for key, text in run.texts.items():
            if run.cancel.is_set():
                break
            self._tell(Started(run=run.number, key=key))
            try:
                self._write(run, key, text)
            except GenerationInterrupted:
                break
            except Exception as err:  # the thread goes on, and a person sees it
                self._tell(Failed(run=run.number, key=key, message=_explain(err)))
        self._tell(Ended(run=run.number))

    def _write(self, run: _Run, key: int, text: str) -> None:
        if self._summarizer is None:
            raise RuntimeError("no model is loaded")

        def on_step(num_tokens: int, max_length: int) -> None:
            self._tell(
                Stepped(run=run.number, key=key, num_tokens=num_tokens, max_length=max_length)
            )

        stream = self._summarizer.stream(
            text, run.options, truncate=True, on_step=on_step, cancel=run.cancel
        )
        for item in stream:
            if isinstance(item, Summary):
                self._tell(Finished(run=run.number, key=key, summary=item))
            else:
                self._tell(Wrote(run=run.number, key=key, text=item.text))


def _explain(err: Exception) -> str:
    """Our own errors say it all; others may say next to nothing."""
    said = str(err) if isinstance(err, PegasusError) else f"{type(err).__name__}: {err}"
    return " ".join(said.split())  # NumPy's fill a screen
