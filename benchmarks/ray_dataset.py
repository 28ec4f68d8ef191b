"""What does a dataset cost on nodes of Ray, beside one process, and what if a node is lost?

Summarises held-out reports by examples/checkpoints/pegasus-mini, with the checkpoint's options:

- local            one Summarizer with 1 and 2 threads
- Ray              a cluster of two nodes of one CPU each on this computer, 1 and 2 actors
- one node lost    the same with 2 actors; a node is killed when a quarter of the rows are there

Times are of one run each, in this order, and have the start of the actors in them, and what Ray
takes to see that a node is gone; one column says when the first rows came. Counted: rows whose text
is not that of the local run with one thread, or whose score is not within 1e-5 of it (a batch of
other documents rounds otherwise), rows that are missing, and rows that came twice. Ray is kept to
the loopback interface, and reports nothing.

    python benchmarks/ray_dataset.py --json docs/figures/ray.json
    python benchmarks/ray_dataset.py --documents 40 --workers 1      # does it work?
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import bench
from harness.machine import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples"))

from harness.table import Cell, Column, Table
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_ray import summarize_dataset
from pegasus_runtime import Summarizer
from wire_reports import HELD_OUT_SEEDS, generate_report

CHECKPOINT = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
ROWS = 128
"""Of a block, and of a call."""
COLUMNS = (
    Column(title="pegasus-mini"),
    Column(title="reports"),
    Column(title="reports/s", digits=1),
    Column(title="seconds", digits=1),
    Column(title="the first after", unit="s", digits=1),
    *(Column(title=title) for title in ("differing", "lost", "doubled")),
)
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # where it reports that it does not
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # 127.0.0.1 for an address
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_worker_niceness": "0",  # 15 otherwise, where the local runs have 0
}

_ROUNDING = 1e-5

Found = Mapping[int, tuple[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one way came to."""

    rows: Sequence[tuple[int, str, float]]
    seconds: float
    first_s: float


def run_local(bundle: Path, documents: Sequence[str], threads: int) -> Run:
    """In this process; loading counts, as it does on the nodes."""
    start = time.perf_counter()
    rows, first_s = [], 0.0
    with Summarizer.load(bundle, threads=threads) as summarizer:
        for number, summary in enumerate(summarizer.summarize_each(documents)):
            assert not hasattr(summary, "error")
            first_s = first_s or time.perf_counter() - start
            rows.append((number, summary.text, summary.score))  # type: ignore[union-attr]
    return Run(rows=rows, seconds=time.perf_counter() - start, first_s=first_s)


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes of one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="pr", dir="/tmp")  # short: sockets are in it
    node = {
        "num_cpus": 1,
        "object_store_memory": 100 * 2**20,
        "node_ip_address": "127.0.0.1",
        "include_dashboard": False,
        "include_log_monitor": False,
    }
    cluster = Cluster(initialize_head=True, head_node_args={**node, "temp_dir": folder})
    try:
        cluster.add_node(**node)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="warning")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def run_ray(
    bundle: Path, documents: Sequence[str], workers: int, *, lose_node_of: Any = None
) -> Run:
    """lose_node_of: a cluster that loses a node meanwhile."""
    import ray.data

    items = [{"number": number, "text": text} for number, text in enumerate(documents)]
    dataset = ray.data.from_items(items, override_num_blocks=max(1, len(items) // ROWS))
    summarized = summarize_dataset(
        dataset, bundle, details_column="details", concurrency=(workers, workers), rows=ROWS
    )
    start = time.perf_counter()
    rows, first_s = [], 0.0
    for row in summarized.iter_rows():
        first_s = first_s or time.perf_counter() - start
        rows.append((row["number"], row["summary"], row["details"]["score"]))
        if lose_node_of is not None and len(rows) >= len(documents) / 4:
            lost = next(iter(lose_node_of.worker_nodes))
            lose_node_of.remove_node(lost, allow_graceful=False)
            lose_node_of = None
    return Run(rows=rows, seconds=time.perf_counter() - start, first_s=first_s)


def make_row(name: str, run: Run, expected: Found) -> tuple[Cell, ...]:
    """A row of the table; expected: the local run's, by number."""
    counts = Counter(number for number, _, _ in run.rows)
    differing = sum(
        text != expected[number][0] or abs(score - expected[number][1]) > _ROUNDING
        for number, text, score in run.rows
    )
    return (
        name,
        len(expected),
        len(expected) / run.seconds,
        run.seconds,
        run.first_s,
        differing,
        len(expected.keys() - counts.keys()),
        sum(count - 1 for count in counts.values()),
    )


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--documents", type=int, default=2000, help="held-out reports (default: %(default)s)")
    add("--workers", type=bench.parse_numbers, default=(1, 2), help="1 and 2 at most; default: 1,2")
    add("--bundle", type=Path, help="of pegasus-mini; default: exported, in fp32")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.documents <= len(HELD_OUT_SEEDS):
        parser.error(f"--documents is {arguments.documents}, expected 1 to {len(HELD_OUT_SEEDS)}")
    if max(arguments.workers) > 2:
        parser.error(f"--workers is {max(arguments.workers)}, expected at most the two nodes")
    os.environ.update(ENVIRONMENT)  # before Ray is imported
    documents = [generate_report(seed).document for seed in HELD_OUT_SEEDS[: arguments.documents]]
    bundle = arguments.bundle or _export(arguments.work_dir)
    run_local(bundle, documents[:8], 1)  # what is slow the first time
    local = {threads: run_local(bundle, documents, threads) for threads in arguments.workers}
    first = next(iter(local.values()))
    expected = {number: (text, score) for number, text, score in first.rows}
    rows = [
        make_row(f"one process, {threads} thread{'s' * (threads > 1)}", each, expected)
        for threads, each in local.items()
    ]
    with two_nodes() as cluster:
        for workers in arguments.workers:
            name = f"Ray, {workers} actor{'s' * (workers > 1)} of 1 CPU"
            rows.append(make_row(name, run_ray(bundle, documents, workers), expected))
        if max(arguments.workers) > 1:
            lost = run_ray(bundle, documents, 2, lose_node_of=cluster)
            rows.append(make_row("Ray, 2 actors, one node lost", lost, expected))
    tables = {"throughput": Table(columns=COLUMNS, rows=tuple(rows))}
    bench.report(arguments, tables, load=os.getloadavg()[0])


def _export(work_dir: Path) -> Path:
    folder = work_dir / "pegasus-mini-ray"
    export_bundle(ExportRequest(model=str(CHECKPOINT), output=folder, force=True))
    return folder


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
