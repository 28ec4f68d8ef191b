"""What is carried of long reports that do not fit: cut, in windows, or with a long-document model?

Summarises held-out long reports (examples/wire_reports: 500 to 3,000 tokens, facts anywhere) with
pegasus-mini, which takes 512 tokens, by `long="truncate"` and by `long="chunk"` with some overlaps
and sizes of windows; and with bigbird-mini, which reads all of them.

Carried: the share of a report's facts that its summary contains. Every sentence of these models
follows a template, so what it states can be read back: stated counts those values, and right is the
share of them that are the report's own. "Carry less than truncate" counts reports.

    python benchmarks/long_chunks.py --json docs/figures/long_chunks.json
    python benchmarks/long_chunks.py --documents 2      # does it work?
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from harness import bench
from harness.machine import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples"))

from harness.table import Cell, Column, Table
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import Summarizer, Summary
from pegasus_runtime.generation.stream import collect_results
from pegasus_runtime.generation.watch import Watch
from pegasus_runtime.tasks.long_documents.drive import begin_chunked, run_chunked
from wire_reports import EVENT_KINDS, HELD_OUT_SEEDS, Report, generate_long_report

CHECKPOINTS = REPOSITORY / "examples" / "checkpoints"
RULES: Sequence[tuple[int, float]] = (
    (512, 1 / 16),
    (512, 0.0),
    (512, 1 / 4),
    (424, 0.0),
    (256, 1 / 4),
)
"""Most tokens of a window, and the share of it that may be overlap. 424 without overlap makes about
as many windows as 512 with a quarter."""
USED = (512, 1 / 16)
COLUMNS = (
    Column(title="held-out long reports"),
    Column(title="windows", digits=1),
    Column(title="facts carried", digits=3),
    Column(title="carry less than truncate"),
    Column(title="stated", digits=1),
    Column(title="right", unit="%", digits=1),
    Column(title="words", digits=0),
    Column(title="time", unit="s", digits=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A summary against its report."""

    carried: float
    stated: int
    right: int


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(f"(?P<{part}>.+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    )


PATTERNS = [(kind.name, _pattern(each)) for kind in EVENT_KINDS for each in kind.summary]


def read_statements(text: str) -> list[tuple[str, str, str]]:
    """(kind of event, fact, value) of all that a summary states."""
    found = []
    for sentence in re.findall(r"\S.*?\.(?=\s|$)", text.replace("<n>", "\n")):
        for kind, pattern in PATTERNS:
            match = pattern.fullmatch(sentence)
            if match is not None:
                found += [(kind, name, value) for name, value in match.groupdict().items()]
                break
    return found


def score(report: Report, text: str) -> Scored:
    facts = dict(report.facts)
    stated = read_statements(text)
    return Scored(
        carried=sum(value in text for value in facts.values()) / len(facts),
        stated=len(stated),
        right=sum(kind == report.kind and facts[name] == value for kind, name, value in stated),
    )


def summarize_in_windows(
    summarizer: Summarizer, documents: Sequence[str], tokens: int, overlap: float
) -> list[Summary]:
    """As `summarize(documents, long="chunk")` with another rule for windows."""
    chunker = replace(summarizer.chunker(), max_tokens=tokens, overlap_share=overlap)
    watch = Watch(len(documents), on_progress=None, cancel=None, timeout_s=None)
    begun = [begin_chunked(chunker, document) for document in documents]
    results = run_chunked(
        begun,
        lambda options: summarizer._run(options, watch=watch),
        errors="raise",
        on_done=watch.count,
    )
    found = collect_results(results, len(documents))
    return [each for each in found if isinstance(each, Summary)]


def make_row(
    name: str,
    reports: Sequence[Report],
    truncated: Sequence[Scored],
    run: Callable[[], list[Summary]],
) -> tuple[tuple[Cell, ...], list[Scored]]:
    start = time.perf_counter()
    summaries = run()
    seconds = (time.perf_counter() - start) / len(reports)
    scored = [score(report, each.text) for report, each in zip(reports, summaries, strict=True)]
    less = sum(a.carried < b.carried for a, b in zip(scored, truncated, strict=False))
    stated = sum(each.stated for each in scored)
    row: tuple[Cell, ...] = (
        name,
        mean(max(1, len(each.windows)) for each in summaries),
        mean(each.carried for each in scored),
        less if truncated else None,
        stated / len(reports),
        100 * sum(each.right for each in scored) / max(1, stated),
        mean(len(each.text.replace("<n>", " ").split()) for each in summaries),
        seconds,
    )
    print(row, file=sys.stderr, flush=True)
    return row, scored


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--documents", type=int, default=100, help="held-out reports (default: %(default)s)")
    add("--rules", type=int, default=len(RULES), help="how many of them (default: all)")
    add("--threads", type=int, default=bench.THREADS, help="of the engine (default: %(default)s)")
    add("--mini", type=Path, help="bundle of pegasus-mini; default: exported, in fp32")
    add("--bigbird", type=Path, help="bundle of bigbird-mini; default: exported, in fp32")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.documents <= len(HELD_OUT_SEEDS):
        parser.error(f"--documents is {arguments.documents}, expected 1 to {len(HELD_OUT_SEEDS)}")
    reports = [generate_long_report(seed) for seed in HELD_OUT_SEEDS[: arguments.documents]]
    documents = [report.document for report in reports]
    mini = arguments.mini or _export("pegasus-mini", arguments.work_dir)
    bigbird = arguments.bigbird or _export("bigbird-mini", arguments.work_dir)
    rows = []
    with Summarizer.load(mini, threads=arguments.threads) as summarizer:
        summarizer.summarize(documents[:2], long="chunk")  # what is slow the first time
        row, truncated = make_row(
            "pegasus-mini, truncate",
            reports,
            [],
            lambda: summarizer.summarize(documents, long="truncate"),
        )
        rows.append(row)
        for tokens, overlap in RULES[: arguments.rules]:
            name = f"pegasus-mini, chunk, windows of {tokens}, overlap {round(tokens * overlap)}"
            name += " (used)" if (tokens, overlap) == USED else ""
            row, _ = make_row(
                name,
                reports,
                truncated,
                lambda t=tokens, o=overlap: summarize_in_windows(summarizer, documents, t, o),  # type: ignore[misc]
            )
            rows.append(row)
    with Summarizer.load(bigbird, threads=arguments.threads) as summarizer:
        summarizer.summarize(documents[:2])
        row, _ = make_row(
            "bigbird-mini", reports, truncated, lambda: summarizer.summarize(documents)
        )
        rows.append(row)
    table = Table(columns=COLUMNS, rows=tuple(rows))
    bench.report(arguments, {"rules": table}, threads=arguments.threads, load=os.getloadavg()[0])


def _export(name: str, work_dir: Path) -> Path:
    folder = work_dir / f"{name}-long-chunks"
    export_bundle(ExportRequest(model=str(CHECKPOINTS / name), output=folder, force=True))
    return folder


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
