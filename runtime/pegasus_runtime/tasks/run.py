"""One call of a task that generates: its items in batches, through search and engine, to results.

What a summarizer and a text generator share; an item is an encoding, a prompt, or bare token ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.agreed import stream_agreed
from pegasus_runtime.generation.batching import Plan, plan_batches
from pegasus_runtime.generation.failure import Errors, Failure, tell_of_memory
from pegasus_runtime.generation.loop import Hypothesis, generate
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, collect_results, run_stream
from pegasus_runtime.generation.watch import Watch
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tasks.partial import Partial

__all__ = ["OnStep", "Run", "SettingsFor", "plan_any_lengths", "plan_equal_lengths"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

OnStep = Callable[[int, int], None]
"""Called before each step with the tokens that the rows of a batch hold, start token or prompt
included, and with max_length, the most that they may."""

SettingsFor = Callable[[int], SearchSettings]
"""The settings of items of so many tokens."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run(Generic[_Item, _Result]):
    """How items run, and what becomes of what they came to."""

    engine: Engine
    watch: Watch
    settings: SettingsFor
    """Of a batch, by its first item."""
    plan: Plan
    ids: Callable[[_Item], Sequence[int]]
    """Of an item: what the engine reads."""
    result: Callable[[Sequence[Hypothesis], _Item, float], _Result]
    """From an item's hypotheses, the item, and the seconds that it took."""
    on_step: OnStep | None = None

    def each(
        self,
        items: Iterable[_Item | Failure],
        errors: Errors,
        *,
        on_read: Callable[[], None] = lambda: None,
        window: int = WINDOW_DOCUMENTS,
    ) -> Iterator[_Result | Failure]:
        """One result per item, in order; see `run_stream`."""
        return run_stream(
            items,
            self.run_batch,
            self.plan,
            length=lambda item: len(self.ids(item)),
            errors=errors,
            on_done=self.watch.count,
            on_read=on_read,
            window=window,
        )

    def all(self, items: Sequence[_Item | Failure], errors: Errors) -> list[_Result | Failure]:
        """The results of all items; see `collect_results`."""
        return collect_results(self.each(items, errors), len(items))

    def stream(
        self, item: _Item, text: Callable[[_Item, tuple[int, ...]], str]
    ) -> Iterator[Partial | _Result]:
        """What is certain of the best result, whenever that is more, and then the result.

        text: of an item and of tokens of its result, what stands whatever follows them.
        Raises: what `generate` raises, and what the watch raises.
        """
        self.watch.check()
        start = time.perf_counter()
        ids = self.ids(item)
        settings = self.settings(len(ids))
        settled = ""
        with self.watch.interrupting(self.engine) as engine, tell_of_memory():
            agreed = stream_agreed(engine, ids, settings, on_step=self._step_of(settings))
            while True:
                try:
                    token_ids = next(agreed)
                except StopIteration as end:
                    found: list[Hypothesis] = end.value
                    break
                settled = max(settled, text(item, token_ids), key=len)
                yield Partial(text=settled, token_ids=token_ids)
        self.watch.count(1)
        yield self.result(found, item, time.perf_counter() - start)

    def _step_of(self, settings: SearchSettings) -> Callable[[int], None]:
        """What is called before each step, with the tokens that rows hold."""
        on_step, check = self.on_step, self.watch.check_step
        if on_step is None:
            return check

        def check_and_tell(length: int) -> None:
            check(length)
            on_step(length, settings.max_length)

        return check_and_tell

    def run_batch(self, batch: Sequence[_Item]) -> list[_Result]:
        """The results of items that run together. Raises: as `stream`."""
        self.watch.check()  # before anything is encoded
        start = time.perf_counter()
        sources = [self.ids(item) for item in batch]
        settings = self.settings(len(sources[0]))
        with self.watch.interrupting(self.engine) as engine:
            found = generate(engine, sources, settings, on_step=self._step_of(settings))
        seconds = (time.perf_counter() - start) / len(batch)
        return [self.result(*each, seconds) for each in zip(found, batch, strict=True)]


def plan_any_lengths(
    manifest: Manifest, settings: SearchSettings, batch_size: int | None = None
) -> Plan:
    """Batches that fit the memory, of items that are padded to the longest."""
    return lambda lengths: plan_batches(
        lengths,
        manifest.architecture,
        rows=settings.rows_per_document,
        max_length=settings.max_length,
        max_documents=manifest.limits.max_batch,
        batch_size=batch_size,
    )


def plan_equal_lengths(
    manifest: Manifest, settings: SettingsFor, batch_size: int | None = None
) -> Plan:
    """Batches of one length each: a network that continues prompts knows no padding before them."""

    def plan(lengths: Mapping[int, int]) -> list[Sequence[int]]:
        batches: list[Sequence[int]] = []
        for length in sorted(set(lengths.values()), reverse=True):
            alike = {number: length for number, each in lengths.items() if each == length}
            batches += plan_any_lengths(manifest, settings(length), batch_size)(alike)
        return batches

    return plan


def run_sources(
    sources: Sequence[Sequence[int] | Failure],
    engine: Engine,
    settings: SearchSettings,
    manifest: Manifest,
    watch: Watch,
    errors: Errors,
    on_step: OnStep | None,
) -> list[list[Hypothesis] | Failure]:
    """The hypotheses of bare token ids."""
    run: Run[Sequence[int], list[Hypothesis]] = Run(
        engine=engine,
        watch=watch,
        settings=lambda length: settings,
        plan=plan_any_lengths(manifest, settings),
        ids=lambda source: source,
        result=lambda found, source, seconds: list(found),
        on_step=on_step,
    )
    return run.all(sources, errors)
