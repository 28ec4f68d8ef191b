"""A dataset of Ray's with a summary for each of its rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegasus_ray.bundle_source import StorageOptions, find_source
from pegasus_ray.import_ray import import_ray_data
from pegasus_ray.resources import checked_gpus, threads_for
from pegasus_ray.summarize_batches import SummarizeBatches
from pegasus_ray.work import Columns, Loading, Work
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.failure import Errors
from pegasus_runtime.generation.stream import WINDOW_DOCUMENTS, check_count
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.tokenization.tokenizer import Newlines

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
    truncate: bool = False,
    errors: Errors = "return",
    concurrency: int | tuple[int, int] | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    rows: int = WINDOW_DOCUMENTS,
    batch_size: int | None = None,
    precision: str | None = None,
    provider: str = "auto",
    newlines: Newlines = "hf",
    manifest_sha256: str | None = None,
    storage_options: StorageOptions | None = None,
) -> ray.data.Dataset:
    """The dataset with columns for the summary of each row's text, and for why there is none.

    Lazy, as all of Ray Data: it runs when the result is asked for. Rows keep their other columns,
    and their order within a block. Actors load the bundle once; those of a node that is lost are
    started elsewhere, and do again what was not finished.

    bundle: a folder that all nodes have, a URI of fsspec's (s3://…, https://…, file:///…), which
    each node fetches once into its cache, or a name of a hub. manifest_sha256: of the one bundle
    that is wanted; None for that which the driver sees. A node that finds another one ends the run.
    storage_options: what fsspec opens the URI's file system with.
    text_column, output_column: of the texts, and of the summaries. error_column: null, or why a
    text has no summary, which is null then. details_column: a struct of score, num_tokens,
    truncated and unknown_share; None for no such column.
    options: of generation. truncate: cuts texts that are over the bundle's limit, which are errors
    otherwise. errors: "raise" ends the run at the first text that cannot be summarised.
    concurrency: how many actors at most; two numbers for the fewest, otherwise one, and the most;
    None for as many as there is room and work for. num_cpus, num_gpus: of each; an actor has as
    many threads as CPUs. The fewest keep theirs to the end: what reads the dataset needs some, too.
    rows: at least so many go to an actor at a time, from several blocks if they are small; those of
    similar length run together. batch_size: the most that do (default: as many as memory allows).
    precision, provider, newlines: see `Summarizer.load`.

    Raises: BundleError if the driver cannot read the bundle and no manifest_sha256 is given;
    OptionsError; EngineError where Ray is missing. While it runs, Ray raises its own error, whose
    message has that of an actor.
    """
    data = import_ray_data()
    columns = Columns(
        text=text_column, summary=output_column, error=error_column, details=details_column
    )
    check_count("rows", rows)
    source, manifest = find_source(
        bundle, manifest_sha256=manifest_sha256, storage_options=storage_options
    )
    if manifest is not None and manifest.task == "summarization":  # others are refused by `load`
        resolve_for_manifest(options or GenerationOptions(), manifest)
    known = dataset.schema(fetch_if_missing=False)
    if known is not None:
        columns.check(known.names)
    work = Work(
        source=source,
        loading=Loading(
            precision=precision,
            provider=provider,
            threads=threads_for(num_cpus),
            newlines=newlines,
        ),
        columns=columns,
        options=options,
        truncate=truncate,
        errors=errors,
        batch_size=batch_size,
    )
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
