"""How long does a summary take on this NVIDIA GPU, alone and of eight at once, beside the peers?

Documents of 512 random tokens, summaries of exactly 64 tokens, 8 beams, on a checkpoint of
google/pegasus-xsum's shape with random weights. Every engine runs in a process of its own and is
measured in turns with the others, after a warm-up of every job; an engine that is not installed, or
fails, is listed with the reason.

- ms per document: a call's median, and its 95th percentile, over the documents in it.
- a step: the difference between summaries of 64 and of 2 tokens, over 62.
- of bandwidth: the least bytes that a step must read (weights of the decoder and the head, as the
  engine stores them, and the caches; see step_bytes.py), over the GPU's measured rate of copying
  its own memory, and that over the step. The rate counts what is read and what is written.
- tokens agree: with transformers in fp32 on this GPU, place by place, in both batches; the last
  token is left out, as some engines force it to be EOS. Weights are random, so that near ties are
  common, and after one the rest of a summary differs.

All engines are loaded at the same time (about 16 GB of the GPU's memory for the defaults): name
fewer with --engines where there is less.

    python benchmarks/gpu/latency.py --json latency.json                # the published figures
    python benchmarks/gpu/latency.py --engines pegasus-edge-trt-rtx-fp16,transformers-fp16
    python benchmarks/gpu/latency.py --layers 2 --d-model 64 --rounds 2    # does the script work?
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from benchmark_arguments import (
    SummaryWork,
    add_summary_arguments,
    parse_numbers,
    summary_from_arguments,
)
from gpu.engines import (
    ENGINES,
    REFERENCE,
    GpuEngine,
    PlanSizes,
    parse_engines,
    prepare_folder,
    why_missing,
    worker_command,
)
from gpu.gpu_machine import (
    NO_GPU_STATUS,
    NoGpuError,
    copy_bytes_per_second,
    describe_gpu_machine,
    find_gpu,
)
from gpu.latency_table import GpuRow, RowInputs, format_rows, judge_rows, latency_rows
from gpu.workers.token_protocol import TokensReply
from measure import CommandError
from pegasus_runtime.errors import EngineError
from random_documents import random_documents
from ratio_table import Verdict, format_verdicts
from worker_process import WorkerError, WorkerProcess
from workers.line_protocol import GenerationRequest
from xsum_shape import (
    XSUM,
    PegasusShape,
    add_shape_arguments,
    checkpoint_name,
    shape_from_arguments,
    write_checkpoint,
)

__all__ = ["Measured", "Settings", "measure_engines", "plan_requests"]

SHORT_TOKENS = 2
DEFAULT_ENGINES = ",".join(name for name in ENGINES if name != REFERENCE.name)


class Worker(Protocol):
    """What is measured; in earnest a `WorkerProcess`."""

    def generate(self, request: GenerationRequest) -> TokensReply: ...


Job = tuple[int, int]
"""Batch size, and new tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    shape: PegasusShape
    work: SummaryWork
    batches: tuple[int, ...]
    engines: tuple[GpuEngine, ...]
    rounds: int
    work_dir: Path
    reuse: bool

    @property
    def targets_apply(self) -> bool:
        return (self.shape, self.work) == (XSUM, SummaryWork())


@dataclass(slots=True, kw_only=True)
class Measured:
    """engine -> job -> seconds of every round, and engine -> job -> tokens."""

    seconds: dict[str, dict[Job, list[float]]] = field(default_factory=dict)
    tokens: dict[str, dict[Job, Sequence[Sequence[int]]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """engine -> why it has no figures."""
    loaded: dict[str, object] = field(default_factory=dict)


def plan_requests(settings: Settings) -> dict[Job, GenerationRequest]:
    """A long and a short summary for each batch size."""
    requests = {}
    for batch in settings.batches:
        sources = random_documents(
            [settings.work.source_tokens] * batch,
            vocabulary=settings.shape.vocabulary,
            seed=settings.shape.seed,
        )
        for new_tokens in (settings.work.new_tokens, SHORT_TOKENS):
            requests[batch, new_tokens] = GenerationRequest(
                sources=sources, beams=settings.work.beams, new_tokens=new_tokens
            )
    return requests


def measure_engines(
    workers: Mapping[str, Worker],
    requests: Mapping[Job, GenerationRequest],
    measured: Measured,
    *,
    rounds: int,
    warm_ups: int = 2,
) -> None:
    """Job by job, one engine after the other; an engine that fails at any job is missing."""

    def run(name: str, job: Job) -> TokensReply | None:
        try:
            return workers[name].generate(requests[job])
        except WorkerError as err:
            _drop(measured, name, str(err))
            return None

    for number in range(-warm_ups, rounds):
        for job in requests:
            for name in [name for name in workers if name not in measured.missing]:
                reply = run(name, job)
                if reply is None:
                    continue
                measured.tokens.setdefault(name, {})[job] = reply.tokens
                if number >= 0:
                    seconds = measured.seconds.setdefault(name, {}).setdefault(job, [])
                    seconds.append(reply.seconds)
        _say(f"warm-up {number + warm_ups + 1}" if number < 0 else f"round {number + 1}")


def prepare_engines(settings: Settings, measured: Measured) -> dict[str, Path]:
    """Engine name -> its folder, of those that can run here."""
    name = checkpoint_name(settings.shape)
    checkpoint = write_checkpoint(settings.work_dir / name, settings.shape)
    sizes = PlanSizes(
        max_batch=max(settings.batches),
        beams=settings.work.beams,
        new_tokens=settings.work.new_tokens,
    )
    folders = {}
    for engine in dict.fromkeys((*settings.engines, REFERENCE)):
        reason = why_missing(engine)
        if reason is None:
            try:
                folders[engine.name] = prepare_folder(
                    engine, checkpoint, settings.work_dir, sizes, reuse=settings.reuse
                )
            except CommandError as err:
                reason = str(err).splitlines()[-1]
        if reason is not None:
            _drop(measured, engine.name, reason)
    return folders


def reference_tokens(
    settings: Settings,
    folders: Mapping[str, Path],
    requests: Mapping[Job, GenerationRequest],
    measured: Measured,
) -> dict[Job, Sequence[Sequence[int]]]:
    """transformers' in fp32, from a process that has ended when this returns; {} without it."""
    if REFERENCE.name not in folders:
        return {}
    _say(f"tokens of {REFERENCE.name} …")
    jobs = [job for job in requests if job[1] == settings.work.new_tokens]
    try:
        with _start(REFERENCE, folders[REFERENCE.name], settings) as worker:
            return {job: worker.generate(requests[job]).tokens for job in jobs}
    except WorkerError as err:
        _drop(measured, REFERENCE.name, str(err))
        return {}


def measure_all(settings: Settings, measured: Measured) -> dict[Job, Sequence[Sequence[int]]]:
    """Fills ``measured``; returns the reference's tokens."""
    folders, requests = prepare_engines(settings, measured), plan_requests(settings)
    expected = reference_tokens(settings, folders, requests, measured)
    with ExitStack() as stack:
        workers = {}
        for engine in settings.engines:
            if engine.name in measured.missing:
                continue
            _say(f"loading {engine.name} …")
            try:
                worker = _start(engine, folders[engine.name], settings)
            except WorkerError as err:
                _drop(measured, engine.name, str(err))
                continue
            workers[engine.name] = stack.enter_context(worker)
            measured.loaded[engine.name] = asdict(worker.ready)
        measure_engines(workers, requests, measured, rounds=settings.rounds)
    return expected


def _start(engine: GpuEngine, folder: Path, settings: Settings) -> WorkerProcess:
    log = settings.work_dir / "logs" / f"gpu-{engine.name}.log"
    command = worker_command(engine, folder)
    return WorkerProcess(engine.name, command, log=log, reply_type=TokensReply)


def _drop(measured: Measured, name: str, reason: str) -> None:
    measured.missing[name] = reason.splitlines()[0]
    measured.seconds.pop(name, None)
    _say(f"not measured: {name}: {reason}")


def make_rows(
    settings: Settings,
    measured: Measured,
    expected: Mapping[Job, Sequence[Sequence[int]]],
    bytes_per_s: float,
) -> list[GpuRow]:
    """Rows of the engines that were measured, batch by batch."""
    inputs = [
        RowInputs(
            engine=engine,
            batch=batch,
            long_s=measured.seconds[engine.name][batch, settings.work.new_tokens],
            short_s=statistics.median(measured.seconds[engine.name][batch, SHORT_TOKENS]),
            tokens=measured.tokens[engine.name][batch, settings.work.new_tokens],
            expected=expected.get((batch, settings.work.new_tokens)),
        )
        for batch in settings.batches
        for engine in settings.engines
        if engine.name in measured.seconds
    ]
    return latency_rows(
        inputs,
        shape=settings.shape,
        work=settings.work,
        short_tokens=SHORT_TOKENS,
        bytes_per_s=bytes_per_s,
    )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=f"{details.rstrip()}\n\nengines: {', '.join(ENGINES)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--engines",
        type=parse_engines,
        default=parse_engines(DEFAULT_ENGINES),
        metavar="A,B",
        help="what to compare, see below; default: all but transformers-fp32",
    )
    add("--batch", type=parse_numbers, default=(1, 8), help="default: 1,8")
    add("--rounds", type=int, default=20, help="measured times; default: %(default)s")
    add("--reuse", action="store_true", help="load what an earlier run exported")
    add("--work-dir", type=Path, default=REPOSITORY / "build" / "benchmarks")
    add("--json", type=Path, metavar="FILE", help="write all figures, raw ones too, to FILE")
    add_summary_arguments(parser)
    add_shape_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.new_tokens <= SHORT_TOKENS:
        parser.error(f"--new-tokens is {arguments.new_tokens}, expected over {SHORT_TOKENS}")
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}, expected 1 or more")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    try:
        gpu = find_gpu()
    except NoGpuError as err:
        print(f"error: {err}", file=sys.stderr)
        return NO_GPU_STATUS
    settings = Settings(
        shape=shape_from_arguments(arguments),
        work=summary_from_arguments(arguments),
        batches=arguments.batch,
        engines=arguments.engines,
        rounds=arguments.rounds,
        work_dir=arguments.work_dir.resolve(),
        reuse=arguments.reuse,
    )
    try:
        bytes_per_s = copy_bytes_per_second()
    except EngineError as err:
        print(f"error: the GPU's bandwidth cannot be measured: {err}", file=sys.stderr)
        return 1
    machine = describe_gpu_machine(REPOSITORY, gpu)
    work, measured = settings.work, Measured()
    print(f"{gpu}, copies {bytes_per_s / 1e9:.0f} GB/s\n{machine['packages']}")
    print(machine["gpu_packages"])
    expected = measure_all(settings, measured)
    rows = make_rows(settings, measured, expected, bytes_per_s)
    print(
        f"\n{work.source_tokens} -> {work.new_tokens} tokens, {work.beams} beams, "
        f"median of {settings.rounds}\n\n{format_rows(rows, measured.missing)}\n"
    )
    verdicts: list[Verdict] = judge_rows(rows) if settings.targets_apply else []
    print(format_verdicts(verdicts) if verdicts else "no targets: they are for the published shape")
    if arguments.json:
        report = {
            "machine": machine,
            "copy_bytes_per_s": bytes_per_s,
            "shape": asdict(settings.shape),
            "work": asdict(work),
            "rows": [asdict(row) for row in rows],
            "missing": measured.missing,
            "workers": measured.loaded,
            "raw_seconds": {
                name: {f"batch {b}, {n} tokens": found for (b, n), found in jobs.items()}
                for name, jobs in measured.seconds.items()
            },
            "targets": [asdict(verdict) for verdict in verdicts],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
