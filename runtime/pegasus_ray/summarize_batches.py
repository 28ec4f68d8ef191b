"""What an actor does: it loads a bundle once, and summarises batch after batch of rows."""

from __future__ import annotations

import time
from typing import Any

from pegasus_ray.fetch_bundle import fetch_bundle
from pegasus_ray.result_columns import add_results
from pegasus_ray.work import Work
from pegasus_runtime.command_line.messages import note
from pegasus_runtime.errors import BundleError
from pegasus_runtime.tasks.long_documents.long import check_chunk
from pegasus_runtime.tasks.summarizer import Summarizer

__all__ = ["SummarizeBatches"]


class SummarizeBatches:
    """For `Dataset.map_batches`, with batches of Arrow: the same rows, in their order, and more."""

    def __init__(self, work: Work) -> None:
        """Raises: BundleError for another bundle than the driver's; EngineError, OptionsError."""
        start = time.perf_counter()
        self._work = work
        self.summarizer = _load(work)
        settings = self.summarizer.resolve(work.options)
        if work.long == "chunk":
            check_chunk(settings)
        threads = work.loading.threads
        note(
            "pegasus-ray",
            f"loaded {self.summarizer.bundle.folder} in {time.perf_counter() - start:.1f} s"
            + (f", {threads} thread{'s' * (threads > 1)}" if threads else ""),
        )

    def __call__(self, table: Any) -> Any:
        """table: of pyarrow, as the result is. Raises: what `Summarizer.summarize_each` raises."""
        work = self._work
        work.columns.check(table.column_names)
        results = self.summarizer.summarize_each(
            table.column(work.columns.text).to_pylist(),
            work.options,
            long=work.long,
            errors=work.errors,
            batch_size=work.batch_size,
            window=max(1, table.num_rows),
        )
        return add_results(table, list(results), work.columns)


def _load(work: Work) -> Summarizer:
    source, loading = work.source, work.loading
    place = fetch_bundle(source)
    try:
        return Summarizer.load(
            place,
            precision=loading.precision,
            provider=loading.provider,
            threads=loading.threads,
            newlines=loading.newlines,
            max_unknown=loading.max_unknown,
            manifest_sha256=source.manifest_sha256,
        )
    except BundleError as err:
        if not source.is_uri:
            raise
        raise BundleError(
            f"{err}; it was fetched into {place}: remove that folder from the node, and it is "
            "fetched again"
        ) from err
