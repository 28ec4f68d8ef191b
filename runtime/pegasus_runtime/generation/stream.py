"""Any number of documents through batches of neighbours in length: results in order, memory flat.

So many documents are read ahead. Of the batches that they make, the one with the oldest runs next:
neighbours in length are found, and nobody waits for long.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Generic, TypeVar

from pegasus_runtime.errors import GenerationInterrupted, OptionsError
from pegasus_runtime.generation.batching import Plan
from pegasus_runtime.generation.failure import Errors, Failure, run_batches

__all__ = ["WINDOW_DOCUMENTS", "check_count", "choose_batch", "collect_results", "run_stream"]

WINDOW_DOCUMENTS = 256
"""Read ahead: sixteen batches, so that a batch spans a sixteenth of all lengths."""
_WINDOW_TOKENS = 2**18  # of long documents fewer are read ahead

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def run_stream(
    items: Iterable[_Item | Failure],
    run: Callable[[Sequence[_Item]], Sequence[_Result]],
    plan: Plan,
    *,
    length: Callable[[_Item], int],
    errors: Errors,
    on_done: Callable[[int], None],
    on_read: Callable[[], None] = lambda: None,
    window: int = WINDOW_DOCUMENTS,
) -> Iterator[_Result | Failure]:
    """One result per item, in order, each as soon as it and those before it are there.

    items: read as the window moves; a failure among them is its own result. run: a batch of items
    to their results. errors: see `run_batches`; where they are raised, a failure among the items
    is raised when its turn comes. on_done: called with the number of items that were just
    finished. on_read: called after each item that was read, and may end everything as `run` may.
    window: how many items are read ahead at most.

    Raises: what `run` raises, see `run_batches`; what the iterable raises, after the results of all
    that it gave. GenerationInterrupted has as `results` what was finished and not given out yet, in
    order, with None for an item that was read and not finished.
    """
    ahead = _Ahead[_Item, _Result](items, length, errors, window)
    while True:
        if ahead.oldest in ahead.done:
            yield ahead.give()
            continue
        try:
            if num_failed := ahead.read(on_read):
                on_done(num_failed)
            elif ahead.waiting:
                lengths = {number: length(item) for number, item in ahead.waiting.items()}
                ahead.run(choose_batch(lengths, ahead.oldest, plan), run, on_done)
            elif ahead.broken is not None:
                raise ahead.broken
            else:
                return
        except GenerationInterrupted as err:
            err.results = ahead.finished()
            raise


def check_count(name: str, value: object) -> None:
    """Of documents. Raises: OptionsError."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise OptionsError(f"{name} is {value!r}, expected an integer from 1 up")


def choose_batch(lengths: Mapping[int, int], oldest: int, plan: Plan) -> list[int]:
    """The planned batch with the oldest; if it is what the others left, longer ones fill it up."""
    batches = [list(batch) for batch in plan(lengths)]
    place = next(place for place, batch in enumerate(batches) if oldest in batch)
    batch = batches[place]
    is_rest = 0 < place == len(batches) - 1
    for neighbour in reversed(batches[place - 1]) if is_rest else ():
        wider = [neighbour, *batch]
        if len(plan({number: lengths[number] for number in wider})) > 1:
            break
        batch = wider
    return batch


def collect_results(results: Iterator[_Result], count: int) -> list[_Result]:
    """All of a stream of so many items.

    Raises: what the stream raises; GenerationInterrupted has a result, or None, for every item.
    """
    found: list[_Result] = []
    try:
        for result in results:  # of those before an interruption, none is lost
            found.append(result)
    except GenerationInterrupted as err:
        known = (*found, *err.results)
        err.results = (*known, *[None] * (count - len(known)))
        raise
    return found


class _Ahead(Generic[_Item, _Result]):
    """What was read and not given out yet, by number."""

    def __init__(
        self,
        items: Iterable[_Item | Failure],
        length: Callable[[_Item], int],
        errors: Errors,
        window: int,
    ) -> None:
        self.items = iter(items)
        self.length = length
        self.errors: Errors = errors
        self.window = window
        self.waiting: dict[int, _Item] = {}
        self.done: dict[int, _Result | Failure] = {}
        self.oldest = 0
        """The next to be given out."""
        self.num_read = 0
        self.num_tokens = 0
        """Of those that wait."""
        self.broken: Exception | None = None
        """What the iterable raised, which ends it."""

    def read(self, on_read: Callable[[], None]) -> int:
        """Reads on while there is room; how many of what was read are finished, as they failed."""
        num_failed = 0
        for item in self._unread():
            if isinstance(item, Failure):
                self.done[self.num_read] = item
                num_failed += 1
            else:
                self.waiting[self.num_read] = item
                self.num_tokens += self.length(item)
            self.num_read += 1
            on_read()
        return num_failed

    def _unread(self) -> Iterator[_Item | Failure]:
        while (
            self.num_read - self.oldest < self.window
            and (self.num_tokens < _WINDOW_TOKENS or not self.waiting)
            and not self._will_raise()
            and self.broken is None
        ):
            try:
                item = next(self.items)
            except StopIteration:
                return
            except Exception as err:
                self.broken = err
                return
            yield item

    def _will_raise(self) -> bool:
        """Whether the last item ends everything, so that none behind it need be read."""
        is_failure = isinstance(self.done.get(self.num_read - 1), Failure)
        return is_failure and self.errors == "raise"

    def run(
        self,
        batch: Sequence[int],
        run: Callable[[Sequence[_Item]], Sequence[_Result]],
        on_done: Callable[[int], None],
    ) -> None:
        """Runs a batch of those that wait, which are done then. Raises: see `run_batches`."""

        def run_numbers(numbers: Sequence[int]) -> Sequence[_Result]:
            return run([self.waiting[number] for number in numbers])

        for number, result in run_batches(
            [batch], run_numbers, errors=self.errors, on_done=on_done
        ):
            self.done[number] = result
            self.num_tokens -= self.length(self.waiting.pop(number))

    def give(self) -> _Result | Failure:
        """The oldest. Raises: its error, where it failed and errors are raised."""
        result = self.done.pop(self.oldest)
        self.oldest += 1
        if isinstance(result, Failure) and self.errors == "raise":
            raise result.error
        return result

    def finished(self) -> tuple[_Result | Failure | None, ...]:
        """What is done and not given out, None for what is not."""
        return tuple(self.done.get(number) for number in range(self.oldest, self.num_read))
