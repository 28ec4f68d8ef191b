"""How soon does a call end that is cancelled: within the encoder, a step, a batch?

Another thread sets `cancel` at random moments, seeded, and the time until the call has raised is
measured. ONNX Runtime ends a run between two nodes, and is asked every 10 ms; so the longest node
decides, which is a product of the feed-forward layers.

encoder   moments while one document is encoded
step      moments after that, at 8 beams
batch     moments of the first ten seconds of four documents together

google/pegasus-xsum's shape reads 512 tokens, google/bigbird-pegasus-large's 4,096, with random
weights; pegasus-mini an article. After the cancels of each kind, the summary has to be right.
With --stress, pegasus-mini is cancelled 200 times, and gives the right summary after each.

    python benchmarks/cancel_latency.py --json docs/figures/cancel_latency.json   # the figures
    python benchmarks/cancel_latency.py --models pegasus-mini --cancels 5         # does it work?
"""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import bench
from harness.engines import ENGINES
from harness.machine import REPOSITORY
from harness.measure_command import measure_command
from harness.prepare import OUR_EXPORT, prepare_engine
from harness.shapes import BIGBIRD, XSUM, random_documents, write_checkpoint
from harness.table import Cell, Table, columns_of
from pegasus_runtime import GenerationInterrupted, GenerationOptions, Hypothesis, Summarizer

MINI = REPOSITORY / "examples" / "checkpoints" / "pegasus-mini"
ARTICLE = REPOSITORY / "examples" / "articles" / "earthquake_623.txt"
WORK = GenerationOptions(num_beams=8, min_new_tokens=64, max_new_tokens=64)
ONE_STEP = GenerationOptions(num_beams=8, min_new_tokens=1, max_new_tokens=1)
BATCH = 4
LONG_S = 10.0
KINDS = ("encoder", "step", "batch")
STRESSES = 200
COLUMNS = columns_of(
    "cancelled within",
    "its encoder takes|s|2",
    *(f"{kind}, {figure}|ms" for kind in KINDS for figure in ("p50", "p95")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What is measured, and the name of its row."""

    title: str
    precision: str
    tokens: int | None
    """Of a random document; None of pegasus-mini, which reads an article."""


MODELS: Mapping[str, Model] = {
    "pegasus-mini": Model(title="pegasus-mini int8", precision="int8", tokens=None),
    "xsum": Model(title="pegasus-xsum's shape int8, 512 tokens", precision="int8", tokens=512),
    "bigbird": Model(
        title="bigbird-pegasus-large's shape int8, 4,096 tokens", precision="int8", tokens=4096
    ),
    "bigbird-fp32": Model(
        title="bigbird-pegasus-large's shape fp32, 4,096 tokens", precision="fp32", tokens=4096
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Of one kind of moment, in seconds, ascending."""

    seconds: tuple[float, ...]
    missed: int
    """Calls that had ended before their moment came."""

    def quantile(self, share: float) -> float | None:
        last = len(self.seconds) - 1
        return self.seconds[round(share * last)] if self.seconds else None


Generate = Callable[[threading.Event | None], list[list[Hypothesis]]]


def cancel_after(generate: Generate, delay_s: float) -> float | None:
    """Seconds from the cancel to its end; None where it had ended before."""
    cancel, at = threading.Event(), [0.0]

    def fire() -> None:
        at[0] = time.perf_counter()
        cancel.set()

    timer = threading.Timer(delay_s, fire)
    timer.start()
    try:
        generate(cancel)
    except GenerationInterrupted:
        return time.perf_counter() - at[0]
    finally:
        timer.cancel()
        timer.join()
    return None


def measure(generate: Generate, span: tuple[float, float], count: int, seed: int) -> Latency:
    """Cancels at so many moments of a span in seconds; the summary is right afterwards.

    Raises: AssertionError where it is not.
    """
    moments = random.Random(seed)
    right = generate(None)
    found = [cancel_after(generate, moments.uniform(*span)) for _ in range(count)]
    assert generate(None) == right, "the summary after the cancels is another one"
    seconds = sorted(each for each in found if each is not None)
    return Latency(seconds=tuple(seconds), missed=found.count(None))


def stress(generate: Generate, count: int, seed: int) -> Latency:
    """Cancels at any moment, each followed by a whole summary. Raises: AssertionError."""
    total_s = time_of(lambda: generate(None))
    moments, right, found = random.Random(seed), generate(None), []
    for number in range(count):
        found.append(cancel_after(generate, moments.uniform(0, total_s)))
        assert generate(None) == right, f"the summary after cancel {number} is another one"
    seconds = sorted(each for each in found if each is not None)
    return Latency(seconds=tuple(seconds), missed=found.count(None))


def time_of(call: Callable[[], object]) -> float:
    """In seconds: the faster of two, unless they take long."""
    found: list[float] = []
    while len(found) < 2 and sum(found) < LONG_S:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def generator(
    summarizer: Summarizer, documents: Sequence[Sequence[int]], options: GenerationOptions
) -> Generate:
    return lambda cancel: summarizer.generate(documents, options, cancel=cancel)


def measure_model(
    summarizer: Summarizer, document: Sequence[int], count: int, seed: int
) -> tuple[float, dict[str, Latency]]:
    """Seconds of the encoder, and latencies by kind."""

    whole = generator(summarizer, [document], WORK)
    batch = generator(summarizer, [document] * BATCH, ONE_STEP)
    encoder_s = time_of(lambda: summarizer.generate([document], ONE_STEP))
    total_s = time_of(lambda: whole(None))
    batch_s = min(LONG_S, time_of(lambda: batch(None)))
    return encoder_s, {
        "encoder": measure(whole, (0, 0.95 * encoder_s), count, seed),
        "step": measure(whole, (1.05 * encoder_s, 0.95 * total_s), count, seed),
        "batch": measure(batch, (0, 0.95 * batch_s), count, seed),
    }


def bundle_of(name: str, work_dir: Path) -> Path:
    """Exported, unless it is there. Raises: CommandError."""
    model = MODELS[name]
    if model.tokens is not None:
        shape = XSUM if name == "xsum" else BIGBIRD
        engine = ENGINES["cpu"][f"pegasus-edge-{model.precision}"]
        return prepare_engine(engine, write_checkpoint(work_dir, shape), work_dir)
    folder = work_dir / "cancelled-pegasus-mini"
    if not folder.exists():
        log = work_dir / "logs" / "cancelled-pegasus-mini.log"
        command = [*OUR_EXPORT, "--model", MINI, "--output", folder]
        measure_command([*command, "--precision", "int8", "--quiet"], log=log)
    return folder


def document_of(model: Model, summarizer: Summarizer) -> Sequence[int]:
    """Token ids."""
    if model.tokens is None:
        return summarizer.encode(ARTICLE.read_text("utf-8")).token_ids
    size = summarizer.bundle.manifest.architecture.vocab_size
    return random_documents([model.tokens], vocabulary=size, seed=1)[0]


def make_table(found: Mapping[str, tuple[float, dict[str, Latency]]]) -> Table:
    """A row for each model, by its name."""
    rows = []
    for name, (encoder_s, latencies) in found.items():
        row: list[Cell] = [MODELS[name].title, encoder_s]
        for kind in KINDS:
            for share in (0.5, 0.95):
                seconds = latencies[kind].quantile(share)
                row.append(None if seconds is None else 1000 * seconds)
        rows.append(tuple(row))
    return Table(columns=COLUMNS, rows=tuple(rows))


def overhead(summarizer: Summarizer, document: Sequence[int], rounds: int) -> Table:
    """Whole summaries with an event that is never set beside those without, in turns."""
    never, times = threading.Event(), {"without": [0.0], "with": [0.0]}
    for _ in range(rounds):
        for name, cancel in (("without", None), ("with", never)):
            start = time.perf_counter()
            summarizer.generate([document], WORK, cancel=cancel)
            times[name].append(1000 * (time.perf_counter() - start))
    rows = tuple((f"{name} cancel", statistics.median(each[1:])) for name, each in times.items())
    return Table(columns=columns_of("pegasus-mini int8", "a summary|ms|1"), rows=rows)


def stress_table(found: Latency) -> Table:
    columns = columns_of("pegasus-mini int8", "cancelled", "ended before", "p50|ms", "p95|ms")
    quantiles = [1000 * (found.quantile(share) or 0) for share in (0.5, 0.95)]
    row = ("right after each", float(len(found.seconds)), float(found.missed), *quantiles)
    return Table(columns=columns, rows=(row,))


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    parser.add_argument("--models", type=bench.names_of(MODELS), default=tuple(MODELS))
    parser.add_argument("--cancels", type=int, default=20, help="of each kind; default: 20")
    parser.add_argument("--stress", type=int, nargs="?", const=STRESSES, default=0, metavar="N")
    parser.add_argument("--threads", type=int, default=bench.THREADS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    found, tables = {}, {}
    for name in arguments.models:
        print(name, file=sys.stderr, flush=True)
        folder = bundle_of(name, arguments.work_dir.resolve())
        with Summarizer.load(folder, threads=arguments.threads) as summarizer:
            document = document_of(MODELS[name], summarizer)
            found[name] = measure_model(summarizer, document, arguments.cancels, arguments.seed)
            if name == "pegasus-mini":
                tables["overhead"] = overhead(summarizer, document, 5 * arguments.cancels)
                if arguments.stress:
                    whole = generator(summarizer, [document], WORK)
                    seen = stress(whole, arguments.stress, arguments.seed)
                    tables["stress"] = stress_table(seen)
    bench.report(arguments, {"latency": make_table(found), **tables}, cancels=arguments.cancels)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
