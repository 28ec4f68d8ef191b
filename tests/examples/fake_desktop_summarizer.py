"""A summarizer that says what it is told to, word by word, and waits where it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from desktop.events import BundleFacts
from desktop.worker import Loaded
from pegasus_runtime import BundleError, GenerationInterrupted, GenerationOptions, Summary

__all__ = ["FACTS", "FakePartial", "FakeSummarizer", "load_fake"]

FACTS = BundleFacts(
    folder=Path("bundle"),
    name="pegasus-mini",
    precision="int8",
    num_bytes=4_500_000,
    num_beams=8,
    min_length=0,
    max_length=64,
    max_beams=32,
    max_target_tokens=128,
    max_source_tokens=512,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakePartial:
    text: str
    token_ids: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class FakeSummarizer:
    """The summary of a text is its first sentence; "fail" fails, and "long" is truncated.

    is_free: while it is not set, "slow" texts stay where they are, in the middle; `late` says that
    one does not even look at whether it was cancelled.
    """

    is_free: threading.Event = field(default_factory=threading.Event)
    is_held: threading.Event = field(default_factory=threading.Event)
    """Set when a slow text has come to where it waits."""
    options: list[GenerationOptions | None] = field(default_factory=list)
    is_closed: bool = False

    def stream(
        self,
        document: str,
        options: GenerationOptions | None = None,
        *,
        truncate: bool = False,
        on_step: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[FakePartial | Summary]:
        self.options.append(options)
        if "fail" in document:
            raise ValueError("a broken summarizer")
        text = document.partition(".")[0] + "."
        words = text.split()
        for count in range(1, len(words) + 1):
            if on_step is not None:
                on_step(count, FACTS.max_length)
            yield FakePartial(text=" ".join(words[:count]), token_ids=tuple(range(count)))
            if count == 2 and "slow" in document:
                self._wait(cancel, is_deaf="late" in document)
        assert truncate
        yield Summary(
            text=text,
            token_ids=tuple(range(len(words))),
            score=-0.5,
            truncated="long" in document,
            unknown_share=0.4 if "unknown" in document else 0.0,
            seconds=0.25,
        )

    def close(self) -> None:
        self.is_closed = True

    def _wait(self, cancel: threading.Event | None, *, is_deaf: bool) -> None:
        self.is_held.set()
        while not self.is_free.wait(0.001):
            if not is_deaf and cancel is not None and cancel.is_set():
                raise GenerationInterrupted("generation was cancelled")


def load_fake(summarizer: FakeSummarizer) -> Callable[[Path], Loaded]:
    """A loader of this one, that refuses folders called "broken"."""

    def load(folder: Path) -> Loaded:
        if folder.name == "broken":
            raise BundleError("broken: there is no manifest.json")
        return Loaded(summarizer=summarizer, facts=replace(FACTS, folder=folder))

    return load
