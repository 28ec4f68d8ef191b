"""A dataset of Ray's with a summary for each of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegasus_ray.bundle_source import BundleSource, StorageOptions, find_source
from pegasus_ray.import_ray import import_ray_data
from pegasus_ray.resources import checked_gpus
from pegasus_ray.summarize_batches import SummarizeBatches
from pegasus_ray.work import Columns, Loading, Work, with_threads
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.failure import Errors
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, check_count
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.tasks.long_documents.long import Long, check_chunk

if TYPE_CHECKING:
    import ray.data

__all__ = ["summarize_dataset"]

_TASKS_AHEAD = 2
"""Of an actor: one that runs, and one whose rows are on their way. More would be lost with it."""


def summarize_dataset(
    dataset: ray.data.Dataset,
    bundle: Path | str,
    *,
    text_column: str = "text",
    output_column: str = "summary",
    error_column: str = "error",
    details_column: str | None = None,
    options: GenerationOptions | None = None,
    long: Long = "error",
    errors: Errors = "return",
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    rows: int = WINDOW_DOCUMENTS,
    batch_size: int | None = None,
    loading: Loading | None = None,
    manifest_sha256: str | None = None,
    storage_options: StorageOptions | None = None,
) -> ray.data.Dataset:
    """The dataset with columns for the summary of each text, and for why there is none.

    Lazy: it runs when the result is asked for. Rows keep their other columns, and their order
    within a block. What a lost node had is done again elsewhere.

    bundle: a folder that all nodes have, a URI of fsspec's, which each node fetches once, or a name
    of a hub. manifest_sha256: of the one that is wanted; None for that which the driver sees.
    storage_options: what fsspec opens a URI with. loading: what else `Summarizer.load` takes.
    error_column: null, or why there is no summary. details_column: a struct, see `docs/ray.md`.
    long: what is done about a text over the bundle's limit, see `Summarizer.summarize`.
    errors, batch_size: see `Summarizer.summarize_each`; "raise" ends the run.
    concurrency: how many actors at most, or the fewest, otherwise one, and the most; None for as
    many as there is room and work for. num_cpus, num_gpus: of each, which has a thread for each
    CPU. rows: an actor has at least so many at a time, of several blocks if these are small.

    Raises: OptionsError; BundleError if the driver cannot read the bundle and has no SHA-256 of it;
    EngineError without Ray. While it runs, Ray's own errors, with the words of the actor's.
    """
    data = import_ray_data()
    work = Work(
        source=_checked_source(bundle, manifest_sha256, storage_options, options, long),
        loading=with_threads(loading, num_cpus),
        columns=Columns(
            text=text_column, summary=output_column, error=error_column, details=details_column
        ),
        options=options,
        long=long,
        errors=errors,
        batch_size=batch_size,
    )
    return _mapped(data, dataset, work, rows, concurrency, num_cpus, num_gpus)


def _checked_source(
    bundle: Path | str,
    manifest_sha256: str | None,
    storage_options: StorageOptions | None,
    options: GenerationOptions | None,
    long: Long,
) -> BundleSource:
    """Raises: BundleError, OptionsError for options that the bundle cannot meet, if it is read."""
    source, manifest = find_source(
        bundle, manifest_sha256=manifest_sha256, storage_options=storage_options
    )
    if manifest is not None and manifest.task == "summarization":  # others are refused by `load`
        settings = resolve_for_manifest(options or GenerationOptions(), manifest)
        if long == "chunk":
            check_chunk(settings)
    return source


def _mapped(
    data: Any,
    dataset: ray.data.Dataset,
    work: Work,
    rows: int,
    concurrency: int | tuple[int, int] | None,
    num_cpus: float,
    num_gpus: float,
) -> ray.data.Dataset:
    """Raises: OptionsError."""
    check_count("rows", rows)
    known = dataset.schema(fetch_if_missing=False)
    if known is not None:
        work.columns.check(known.names)
    summarized: ray.data.Dataset = dataset.map_batches(
        SummarizeBatches,
        fn_constructor_args=(work,),
        batch_format="pyarrow",
        batch_size=rows,
        compute=_actors(data, concurrency),
        num_cpus=num_cpus,
        num_gpus=checked_gpus(num_gpus) or None,
    )
    return summarized


def _actors(data: Any, concurrency: int | tuple[int, int] | None) -> Any:
    """Raises: OptionsError."""
    fewest, most = _bounds(concurrency)
    check_count("concurrency", fewest)
    if most is not None:
        check_count("concurrency", most)
        if fewest > most:
            raise _not_bounds(concurrency)
    return data.ActorPoolStrategy(
        min_size=fewest, max_size=most, max_tasks_in_flight_per_actor=_TASKS_AHEAD
    )


def _bounds(concurrency: int | tuple[int, int] | None) -> tuple[int, int | None]:
    """The fewest actors and the most; None for no such bound. Raises: OptionsError."""
    if concurrency is None:
        return 1, None
    if not isinstance(concurrency, tuple | list):
        return 1, concurrency
    if len(concurrency) != 2:
        raise _not_bounds(concurrency)
    return concurrency[0], concurrency[1]


def _not_bounds(concurrency: object) -> OptionsError:
    return OptionsError(
        f"concurrency is {concurrency!r}, expected the fewest actors, then the most"
    )
