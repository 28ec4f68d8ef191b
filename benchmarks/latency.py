"""How long does one summary take, and eight at once, beside the peers, in one run?

Documents of 512 random tokens, summaries of exactly 64 tokens, 8 beams, on a checkpoint of
google/pegasus-xsum's shape with random weights; on CPUs with 2 threads. Every engine runs in a
process of its own and is measured in turns with the others; figures are medians over the rounds,
after a warm-up. An engine that is not installed, or fails, is listed with the reason.

- per step: the difference between summaries of 64 and of 2 tokens, over 62, of the first batch.
- x ours: a call's time over that of the fastest of ours whose weights are stored alike.
- of bandwidth: the least bytes that a step must read (weights of the decoder and the head, and the
  caches, as the engine stores them; see step_bytes.py), over the rate that memory was measured to
  be read at (on a GPU: copied within, read and written bytes both counted), and that over the step.
  OpenVINO has no such figure, as it chooses itself how it stores caches.
- stock operators: ours without its kernels for CPUs; which they are, the caption says.
- tokens agree: with transformers in fp32 on the same device, place by place; the last token is left
  out, as some engines force it to be EOS. Weights are random, so that near ties are common, and
  after one the rest of a summary differs.

Eight documents are one call. On CPUs they take transformers and Optimum minutes a run, so those are
given one. All engines are loaded at the same time: on CPUs the default nine need more than 24 GB of
memory, and 25 GB of disk; those of one precision, one document at a time, half of that. On a GPU it
is 16 GB of its memory.

    make bench                      # as published: those of int8, then those of fp32; and all else
    python benchmarks/latency.py --json build/latency.json
    python benchmarks/latency.py --device cuda --json docs/figures/latency_gpu.json
    python benchmarks/latency.py --instructions avx2 --json docs/figures/latency_avx2.json
    python benchmarks/latency.py --engines pegasus-edge-int8,ctranslate2-int8
    python benchmarks/latency.py --layers 2 --d-model 64 --rounds 1           # does it work?
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from harness import bench
from harness.engines import BATCHED, ENGINES, USUAL_ON_CPU, Engine
from harness.gpu import copy_bytes_per_second, find_gpu, read_bytes_per_second
from harness.prepare import PlanSizes, prepare_engines
from harness.protocol import Request, Tokens
from harness.rounds import SETTLE_S, Job, Timings, measure_rounds, start_workers
from harness.shapes import write_checkpoint
from harness.step_bytes import Storage, step_bytes
from harness.table import Cell, Column, Table, columns_of, ratio

REFERENCE = "transformers-fp32"
SHORT_TOKENS = 2
GPU_ENGINES = ",".join(name for name in ENGINES["cuda"] if name != REFERENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """expected: tokens of the reference by job, where there are any."""

    settings: bench.Settings
    batches: tuple[int, ...]
    timings: Timings
    expected: Mapping[str, Tokens]
    bytes_per_s: float

    def median_s(self, engine: Engine, batch: int, new_tokens: int | None = None) -> float | None:
        name = _job_name(batch, new_tokens or self.settings.work.new_tokens)
        return self.timings.median_s(name, engine.name)

    def step_s(self, engine: Engine, batch: int) -> float | None:
        long_s, short_s = (self.median_s(engine, batch, n) for n in (None, SHORT_TOKENS))
        if long_s is None or short_s is None:
            return None
        return (long_s - short_s) / (self.settings.work.new_tokens - SHORT_TOKENS)

    def storage(self, engine: Engine) -> Storage | None:
        """Our kernels keep the source's keys and values as halves, where weights are integers."""
        ready = self.timings.workers.get(engine.name)
        runs = ready.engine if ready else ""
        has_kernels = bool(runs) and "stock operators" not in runs
        if engine.storage is None or not has_kernels or engine.kind == "fp32":
            return engine.storage
        return replace(engine.storage, source=2)

    def must_read(self, engine: Engine, batch: int) -> float | None:
        """Bytes of a step, in the mean of those that are timed."""
        storage, work = self.storage(engine), self.settings.work
        if storage is None:
            return None
        return step_bytes(
            self.settings.shape,
            storage,
            batch=batch,
            beams=work.beams,
            source_tokens=work.source_tokens,
            target_tokens=(SHORT_TOKENS + 1 + work.new_tokens) / 2,
        )

    def ratio_to_ours(self, engine: Engine, batch: int) -> float | None:
        ours = [each for each in self.settings.engines if each.is_ours]
        alike = [self.median_s(each, batch) for each in ours if each.kind == engine.kind]
        best = min((value for value in alike if value is not None), default=None)
        return ratio(self.median_s(engine, batch), best)


def plan_jobs(settings: bench.Settings, batches: Sequence[int]) -> list[Job]:
    """A long and a short summary for each batch size."""
    work, jobs = settings.work, []
    for batch in batches:
        names = [
            engine.name
            for engine in settings.engines
            if batch == 1 or settings.device == "cuda" or engine.family in BATCHED
        ]
        sources = settings.documents(*[work.source_tokens] * batch)
        for new_tokens in (work.new_tokens, SHORT_TOKENS):
            request = Request(sources=sources, beams=work.beams, new_tokens=new_tokens)
            jobs.append(Job(name=_job_name(batch, new_tokens), request=request, engines=names))
    return jobs


def make_tables(measured: Measured) -> dict[str, Table]:
    """The published one, a row for each engine; and one with a row for each batch and engine."""
    work, batches = measured.settings.work, measured.batches
    title = f"{work.source_tokens} → {work.new_tokens} tokens, {work.beams} beams"
    digits = 2 if measured.settings.device == "cpu" else 4
    columns = [Column(title=title)]
    for batch in batches:
        columns.append(Column(title=f"batch {batch}", unit="s", digits=digits))
        if batch == batches[0]:
            columns.append(Column(title="per step", unit="ms", digits=1))
        again = "" if batch == batches[0] else f"batch {batch}, "
        columns.append(Column(title=f"{again}x ours", digits=2))
    rows, details = [], []
    for engine in measured.settings.engines:
        if all(measured.median_s(engine, batch) is None for batch in batches):
            continue
        row: list[Cell] = [engine.title]
        for batch in batches:
            row.append(measured.median_s(engine, batch))
            if batch == batches[0]:
                row.append(_times(1000, measured.step_s(engine, batch)))
            row.append(measured.ratio_to_ours(engine, batch))
            if measured.median_s(engine, batch) is not None:
                details.append(_detail(measured, engine, batch))
        rows.append(tuple(row))
    main = Table(columns=tuple(columns), rows=tuple(rows))
    return {"latency": main, "detail": Table(columns=DETAIL, rows=tuple(details))}


DETAIL = columns_of(
    *("", "a document|ms|1", "95th percentile|ms|1", "encoder and first step|ms|1"),
    *("per step|ms|2", "must read|MB", "of bandwidth|%", "tokens agree"),
)


def _detail(measured: Measured, engine: Engine, batch: int) -> tuple[Cell, ...]:
    job = _job_name(batch, measured.settings.work.new_tokens)
    rounds_s = measured.timings.seconds[job][engine.name]
    step_s, short_s = measured.step_s(engine, batch), measured.median_s(engine, batch, SHORT_TOKENS)
    must_read = measured.must_read(engine, batch)
    least_s = _times(1 / measured.bytes_per_s, must_read)
    agree = None
    if job in measured.expected:
        found = agreeing_tokens(measured.timings.tokens[job][engine.name], measured.expected[job])
        agree = f"{found[0]} of {found[1]}"
    total_s = measured.median_s(engine, batch)
    return (
        f"batch {batch}, {engine.title}",
        _times(1000 / batch, total_s),
        1000 * percentile(rounds_s, 95) / batch,
        None if short_s is None or step_s is None else 1000 * (short_s - step_s),
        _times(1000, step_s),
        _times(1e-6, must_read),
        _times(100, ratio(least_s, step_s)),
        agree,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(1, int(rank)) - 1]


def agreeing_tokens(tokens: Tokens, expected: Tokens) -> tuple[int, int]:
    """How many are the same, place by place, and of how many; without each document's last."""
    pairs = [
        pair
        for row, other in zip(tokens, expected, strict=True)
        for pair in zip(row[:-1], other[:-1], strict=True)
    ]
    return sum(got == wanted for got, wanted in pairs), len(pairs)


def measure(
    settings: bench.Settings, jobs: Sequence[Job], sizes: PlanSizes, timings: Timings
) -> Mapping[str, Tokens]:
    """Fills ``timings``; returns the reference's tokens by job.

    On a GPU, the reference runs before all others, in a process that ends before they start.
    """
    checkpoint = write_checkpoint(settings.work_dir, settings.shape)
    folders = prepare_engines(settings.engines, checkpoint, settings.work_dir, timings, sizes)
    start = partial(start_workers, threads=settings.threads, log_dir=settings.log_dir)
    expected: dict[str, Tokens] = {}
    on_gpu = settings.device == "cuda"
    if on_gpu:
        alone, reference = Timings(), ENGINES["cuda"][REFERENCE]
        found = prepare_engines([reference], checkpoint, settings.work_dir, alone)
        long_jobs = [replace(job, engines=[REFERENCE]) for job in jobs]
        with start([reference], found, alone) as workers:
            measure_rounds(workers, long_jobs, alone, rounds=1, warm_ups=0, settle_s=0)
        expected = {job: row[REFERENCE] for job, row in alone.tokens.items()}
    warm_ups, settle_s = (2, 0.0) if on_gpu else (1, SETTLE_S)
    with start(settings.engines, folders, timings) as workers:
        rounds = settings.rounds
        measure_rounds(workers, jobs, timings, rounds=rounds, warm_ups=warm_ups, settle_s=settle_s)
    found_here = {job: row[REFERENCE] for job, row in timings.tokens.items() if REFERENCE in row}
    return expected or found_here


def _job_name(batch: int, new_tokens: int) -> str:
    return f"batch {batch}, {new_tokens} tokens"


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def run(argv: Sequence[str] | None) -> None:
    names = "\n\nengines: " + "; ".join(f"{x}: {', '.join(known)}" for x, known in ENGINES.items())
    parser = bench.make_parser(__doc__, epilog=names)
    bench.add_engine_arguments(parser, engines=USUAL_ON_CPU, rounds=3, on_gpu=True)
    parser.add_argument("--batch", type=bench.parse_numbers, default=(1, 8), help="default: 1,8")
    bench.add_summary_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.device == "cuda":
        arguments.usual_engines, arguments.usual_rounds = GPU_ENGINES, 20
    settings = bench.settings_from_arguments(parser, arguments)
    work = settings.work
    if work.new_tokens <= SHORT_TOKENS:
        parser.error(f"--new-tokens is {work.new_tokens}, expected over {SHORT_TOKENS}")
    gpu = find_gpu() if settings.device == "cuda" else None
    rate = read_bytes_per_second(settings.threads) if gpu is None else copy_bytes_per_second()
    timings = Timings()
    sizes = PlanSizes(max_batch=max(arguments.batch), beams=work.beams, new_tokens=work.new_tokens)
    expected = measure(settings, plan_jobs(settings, arguments.batch), sizes, timings)
    measured = Measured(
        settings=settings,
        batches=arguments.batch,
        timings=timings,
        expected=expected,
        bytes_per_s=rate,
    )
    tables = make_tables(measured)
    bench.report(arguments, tables, settings=settings, timings=timings, gpu=gpu, bytes_per_s=rate)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
