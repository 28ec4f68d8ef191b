"""Documents that fail without taking the others with them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, get_args

from pegasus_runtime.errors import (
    EngineError,
    GenerationInterrupted,
    OptionsError,
    PegasusError,
)

__all__ = ["Errors", "Failure", "check_errors", "record_failure", "run_batches", "tell_of_memory"]

Errors: TypeAlias = Literal["raise", "return"]
"""What an error about a document does: it ends the call, or it becomes that document's result."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Stands in the place of a document's result where errors are returned."""

    document: int
    """Which of the documents it was, from 0 up."""
    error: PegasusError
    """Why; without traceback, which would keep the memory of the failed call."""


def check_errors(errors: str) -> None:
    """Raises: OptionsError."""
    if errors not in get_args(Errors):
        raise OptionsError(f"errors is {errors!r}, expected 'raise' or 'return'")


def record_failure(document: int, error: PegasusError) -> Failure:
    """The failure of a document, with all that the error's tracebacks refer to let go."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return Failure(document=document, error=error)


def run_batches(
    batches: Sequence[Sequence[int]],
    run: Callable[[Sequence[int]], Sequence[_Result]],
    *,
    errors: Errors,
    on_done: Callable[[int], None],
) -> Iterator[tuple[int, _Result | Failure]]:
    """Every document of every batch with its result, batch by batch.

    run: from a batch to its results; where errors are returned and it raises one, each document of
    the batch is tried alone. on_done: called with the number of documents that were just finished.

    Raises: what `run` raises, where errors are raised; GenerationInterrupted in any case. Memory
    that is short is an EngineError.
    """
    pending = deque(batches)
    while pending:
        batch = pending.popleft()
        try:
            with tell_of_memory():
                results = run(batch)
            yield from zip(batch, results, strict=True)
        except GenerationInterrupted:
            raise
        except PegasusError as err:
            if errors == "raise":
                raise
            if len(batch) > 1:
                pending.extendleft([document] for document in reversed(batch))
                continue
            yield batch[0], record_failure(batch[0], err)
        on_done(len(batch))


@contextmanager
def tell_of_memory() -> Iterator[None]:
    """Memory that is short is told so. Raises: EngineError in place of MemoryError."""
    try:
        yield
    except MemoryError as err:  # Python's, or NumPy's own, which says of how much
        raise EngineError(
            f"not enough memory ({str(err) or 'an allocation failed'}): give shorter documents, or "
            "ask for fewer beams"
        ) from err
