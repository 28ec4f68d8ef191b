"""What an actor is told: which bundle, loaded how, and what becomes of a batch of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pegasus_ray.bundle_source import BundleSource
from pegasus_ray.resources import threads_for
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.failure import Errors, check_errors
from pegasus_runtime.generation.stream import check_count
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.tasks.long_documents.long import Long, resolve_long
from pegasus_runtime.tokenization.tokenizer import Newlines

__all__ = ["Columns", "Loading", "Work", "with_threads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What `Summarizer.load` is given beside the bundle.

    >>> Loading(provider="cuda").threads is None
    True
    """

    precision: str | None = None
    provider: str = "auto"
    threads: int | None = None
    """Of the engine on the CPU; None: one for each whole CPU of the actor, one at least."""
    newlines: Newlines = "hf"
    max_unknown: float | None = None


def with_threads(loading: Loading | None, num_cpus: float) -> Loading:
    """With threads by an actor's CPUs, unless it says how many. Raises: OptionsError."""
    loading, threads = loading or Loading(), threads_for(num_cpus)
    return loading if loading.threads is not None else replace(loading, threads=threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the column that is read, and of those that are added. Raises: OptionsError."""

    text: str = "text"
    summary: str = "summary"
    error: str = "error"
    details: str | None = None

    def __post_init__(self) -> None:
        names = [self.text, *self.added]
        for name in names:
            if not isinstance(name, str) or not name:
                raise OptionsError(f"a column's name is {name!r}, expected a text")
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise OptionsError(
                f"two columns are called {doubled!r}: give text_column, output_column, "
                "error_column and details_column names of their own"
            )

    @property
    def added(self) -> list[str]:
        """In their order."""
        names = [self.summary, self.error]
        return names if self.details is None else [*names, self.details]

    def check(self, present: Sequence[str]) -> None:
        """Against those of a dataset. Raises: OptionsError."""
        if self.text not in present:
            raise OptionsError(
                f"the dataset has no column {self.text!r}, it has {', '.join(present) or 'none'}: "
                "give text_column"
            )
        taken = next((name for name in self.added if name in present), None)
        if taken is not None:
            raise OptionsError(
                f"the dataset has a column {taken!r} already: give output_column, error_column or "
                "details_column another name"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Raises: OptionsError."""

    source: BundleSource
    loading: Loading
    columns: Columns
    options: GenerationOptions | None = None
    long: Long = "error"
    errors: Errors = "return"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        check_errors(self.errors)
        resolve_long(self.long, truncate=False)
        check_count("batch_size", 1 if self.batch_size is None else self.batch_size)
