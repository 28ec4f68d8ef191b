"""How much of a summary can be told before it is whole, and what does telling it cost?

Streams the summaries of held-out reports by examples/checkpoints/pegasus-mini with 1, 2, 4 and 8
beams (8 is what the checkpoint sets), and summarises each report in the same turn without a stream.
Counted: reports of which something was taken back, or whose last part is not what `summarize`
gives. Shares are of the characters of the whole text, medians over the reports; time is of the
whole call, the encoder's included. The overhead is the median over the reports of the time that a
stream takes over that of `summarize`; every other report is streamed first.

The second table holds other rules against the one that is used, with the checkpoint's beams: what
each would tell at half of the steps, and in how many reports it would have to take something back.
Only the first three are certain whatever the network does next.

    python benchmarks/streaming.py --json docs/figures/streaming.json
    python benchmarks/streaming.py --documents 2 --beams 1,2      # does it work?
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from harness import bench
from harness.machine import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples"))

from harness.table import Cell, Column, Table
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import GenerationOptions, Partial, Summarizer, Summary
from pegasus_runtime.generation.loop import run_search
from pegasus_runtime.search.agreement import agreed_tokens
from pegasus_runtime.search.beam import first_finished
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.search.state import BeamState
from wire_reports import HELD_OUT_SEEDS, generate_report

CHECKPOINT = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
BEAMS = (1, 2, 4, 8)
PERCENT = {"unit": "%", "digits": 1}
COLUMNS = (
    Column(title="pegasus-mini"),
    *(Column(title=title) for title in ("reports", "taken back", "last part differs")),
    Column(title="first text after, of the time", **PERCENT),
    Column(title="text at half of the steps", **PERCENT),
    Column(title="text at half of the time", **PERCENT),
    Column(title="summarize", unit="ms", digits=1),
    Column(title="overhead", unit="%", digits=1, signed=True),
)
RULE_COLUMNS = (
    Column(title="what counts"),
    Column(title="text at half of the steps", **PERCENT),
    Column(title="mean", **PERCENT),
    *(Column(title=title) for title in ("reports", "taken back")),
)

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One report's stream."""

    was_taken_back: bool
    last_differs: bool
    first: float
    """Of the time, when the first text came; 1 where none came before the last part."""
    at_half_steps: float
    at_half_time: float
    summarize_s: float
    stream_s: float


def follow_stream(
    summarizer: Summarizer, document: str, options: GenerationOptions, *, is_first: bool
) -> Told:
    """Streams a document, and summarises it, before or after."""
    expected, summarize_s = None, 0.0
    if not is_first:
        expected, summarize_s = _summarize(summarizer, document, options)
    steps: list[tuple[int, int]] = []
    parts: list[tuple[float, int, str]] = []
    start = time.perf_counter()
    last: Partial | Summary | None = None
    for last in summarizer.stream(document, options, on_step=lambda *each: steps.append(each)):
        parts.append((time.perf_counter() - start, len(steps), last.text))
    if expected is None:
        expected, summarize_s = _summarize(summarizer, document, options)
    stream_s, texts, size = parts[-1][0], [text for _, _, text in parts], len(expected.text)

    def share(known: Iterator[str]) -> float:
        return max((len(text) for text in known), default=0) / max(size, 1)

    return Told(
        was_taken_back=any(not texts[i].startswith(texts[i - 1]) for i in range(1, len(texts))),
        last_differs=last != expected,
        first=next(at for at, _, text in parts if text or at == stream_s) / stream_s,
        at_half_steps=share(text for _, step, text in parts if step <= len(steps) / 2),
        at_half_time=share(text for at, _, text in parts if at <= stream_s / 2),
        summarize_s=summarize_s,
        stream_s=stream_s,
    )


def _summarize(
    summarizer: Summarizer, document: str, options: GenerationOptions
) -> tuple[Summary, float]:
    start = time.perf_counter()
    summary = summarizer.summarize(document, options)
    return summary, time.perf_counter() - start


def make_row(name: str, told: Sequence[Told]) -> tuple[Cell, ...]:
    """A row of the first table."""
    return (
        name,
        len(told),
        sum(each.was_taken_back for each in told),
        sum(each.last_differs for each in told),
        100 * median(each.first for each in told),
        100 * median(each.at_half_steps for each in told),
        100 * median(each.at_half_time for each in told),
        1e3 * median(each.summarize_s for each in told),
        100 * (median(each.stream_s / each.summarize_s for each in told) - 1),
    )


def prefix_alike(rows: Sequence[Sequence[int]]) -> Tokens:
    """What all rows begin with."""
    alike = []
    for tokens in zip(*rows, strict=False):
        if len(set(tokens)) > 1:
            break
        alike.append(tokens[0])
    return tuple(alike)


def running(
    state: BeamState, *, best: int | None = None, within: float | None = None
) -> list[Tokens]:
    """Running rows without their start token: so many, or those not further behind the first."""
    scores = state.scores[0]
    rows = [
        row
        for row in range(len(scores))
        if scores[row] > -1e9 and (within is None or scores[row] >= scores[0] - within)
    ]
    return [tuple(state.sequences[0, row, 1 : state.length].tolist()) for row in rows[:best]]


def finished(state: BeamState, settings: SearchSettings, *, best: bool) -> list[Tokens]:
    """Finished rows, or the first of them."""
    first = first_finished(state, 0, settings)
    rows = [row for row in range(settings.num_beams) if state.is_finished[0, row]]
    if best:
        rows = [] if first is None else [first]
    return [
        tuple(state.finished_sequences[0, row, 1 : state.finished_lengths[0, row]].tolist())
        for row in rows
    ]


Rule = Callable[[BeamState, SearchSettings], Tokens]
RULES: Mapping[str, Rule] = {
    "all running and all finished rows": lambda state, settings: prefix_alike(
        running(state) + finished(state, settings, best=False)
    ),
    "all running rows, the best finished one": lambda state, settings: prefix_alike(
        running(state) + finished(state, settings, best=True)
    ),
    "those that may still come out best (used)": lambda state, settings: agreed_tokens(
        state, settings, 1
    ),
    **{
        f"those at most {nats} nats behind the first": lambda state, settings, n=nats: prefix_alike(
            running(state, within=n) + finished(state, settings, best=True)
        )
        for nats in (8.0, 6.0, 4.0, 2.0)
    },
    **{
        f"the best {count} running": lambda state, settings, n=count: prefix_alike(
            running(state, best=n) + finished(state, settings, best=True)
        )
        for count in (4, 2, 1)
    },
}


def follow_rules(summarizer: Summarizer, document: str) -> dict[str, tuple[float, bool]]:
    """Of each rule, the share of the text at half of the steps, and whether it was ever wrong."""
    settings = summarizer.resolve()
    source = summarizer.encode(document).token_ids
    search = run_search(summarizer._open_engine(), [source], settings)
    states: list[BeamState] = []
    for step in search:
        if step.found:
            best: Tokens = step.found[0][0].token_ids
            break
        assert isinstance(step.state, BeamState)
        states.append(step.state)
    size, half = max(len(summarizer.decode(best)), 1), states[len(states) // 2]
    found = {}
    for name, rule in RULES.items():
        wrong = any(best[: len(told)] != told for told in (rule(x, settings) for x in states))
        text = summarizer.decode(rule(half, settings)).rstrip()
        found[name] = (len(text) / size, wrong)
    return found


def make_rules_table(found: Sequence[Mapping[str, tuple[float, bool]]]) -> Table:
    """A row for each rule."""
    rows: list[tuple[Cell, ...]] = []
    for name in RULES:
        shares = [100 * each[name][0] for each in found]
        wrong = sum(each[name][1] for each in found)
        rows.append((name, median(shares), mean(shares), len(found), wrong))
    return Table(columns=RULE_COLUMNS, rows=tuple(rows))


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--documents", type=int, default=500, help="held-out reports (default: %(default)s)")
    add("--beams", type=bench.parse_numbers, default=BEAMS, help="default: 1,2,4,8")
    add("--threads", type=int, default=bench.THREADS, help="of the engine (default: %(default)s)")
    add("--bundle", type=Path, help="of pegasus-mini; default: exported, in fp32")
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.documents <= len(HELD_OUT_SEEDS):
        parser.error(f"--documents is {arguments.documents}, expected 1 to {len(HELD_OUT_SEEDS)}")
    documents = [generate_report(seed).document for seed in HELD_OUT_SEEDS[: arguments.documents]]
    rows = []
    with Summarizer.load(
        arguments.bundle or _export(arguments.work_dir), threads=arguments.threads
    ) as summarizer:
        summarizer.summarize(documents[:4])  # what is slow the first time
        for beams in arguments.beams:
            options = GenerationOptions(num_beams=beams)
            told = [
                follow_stream(summarizer, document, options, is_first=number % 2 == 0)
                for number, document in enumerate(documents)
            ]
            rows.append(make_row(f"{beams} beam{'s' if beams > 1 else ''}", told))
        found = [follow_rules(summarizer, document) for document in documents]
    tables = {
        "beams": Table(columns=COLUMNS, rows=tuple(rows)),
        "rules": make_rules_table(found),
    }
    bench.report(arguments, tables, threads=arguments.threads, load=os.getloadavg()[0])


def _export(work_dir: Path) -> Path:
    folder = work_dir / "pegasus-mini-streaming"
    export_bundle(ExportRequest(model=str(CHECKPOINT), output=folder, force=True))
    return folder


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
