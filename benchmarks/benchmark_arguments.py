"""The options that all benchmarks of engines share, and what they do before they measure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from engine_folders import prepare_engine
from engines_under_test import ENGINES, EngineUnderTest, parse_engines
from measure import CommandError
from peers import REPOSITORY
from worker_process import WorkerError
from xsum_shape import (
    XSUM,
    PegasusShape,
    add_shape_arguments,
    checkpoint_name,
    shape_from_arguments,
    write_checkpoint,
)

__all__ = [
    "NO_TARGETS",
    "BenchmarkSettings",
    "SummaryWork",
    "add_summary_arguments",
    "benchmark_parser",
    "parse_numbers",
    "prepare_folders",
    "run_benchmark",
    "settings_from_arguments",
    "summary_from_arguments",
]


TARGET_THREADS = 2
NO_TARGETS = "no targets: they are for the published shape, 512 -> 64 tokens, 8 beams and 2 threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryWork:
    """The work of one document; the defaults are what targets are for."""

    source_tokens: int = 512
    new_tokens: int = 64
    beams: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSettings:
    """What the shared options came to."""

    shape: PegasusShape
    engines: tuple[EngineUnderTest, ...]
    threads: int
    rounds: int
    work_dir: Path

    def targets_apply(self, summary: SummaryWork) -> bool:
        """Whether this is the shape, the threads and the work that targets are for."""
        return (self.shape, self.threads, summary) == (XSUM, TARGET_THREADS, SummaryWork())

    @property
    def log_dir(self) -> Path:
        return self.work_dir / "logs"

    @property
    def engine_names(self) -> tuple[str, ...]:
        return tuple(engine.name for engine in self.engines)


def benchmark_parser(
    documentation: str | None, *, engines: str, rounds: int
) -> argparse.ArgumentParser:
    """A parser with the shared options; ``documentation`` is the script's docstring.

    engines, rounds: the defaults.
    """
    summary, details = (documentation or "").split("\n\n", 1)
    names = f"engines: {', '.join(ENGINES)}"
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=f"{details.rstrip()}\n\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--engines",
        type=parse_engines,
        default=parse_engines(engines),
        metavar="A,B",
        help=f"what to compare, see below; default: {engines}",
    )
    add("--rounds", type=int, default=rounds, help="measured times; default: %(default)s")
    add("--threads", type=int, default=TARGET_THREADS, help="of each engine; default: %(default)s")
    add(
        "--work-dir",
        type=Path,
        default=REPOSITORY / "build" / "benchmarks",
        help="for the checkpoint, the engines' models (all kept for the next run) and logs; "
        "default: build/benchmarks",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures, raw ones too, to FILE")
    add_shape_arguments(parser)
    return parser


def add_summary_arguments(parser: argparse.ArgumentParser) -> None:
    """Options for the work of one document."""
    for field in fields(SummaryWork):
        flag = f"--{field.name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=field.default, help="default: %(default)s")


def summary_from_arguments(arguments: argparse.Namespace) -> SummaryWork:
    return SummaryWork(
        source_tokens=arguments.source_tokens,
        new_tokens=arguments.new_tokens,
        beams=arguments.beams,
    )


def settings_from_arguments(
    arguments: argparse.Namespace, *, shape: PegasusShape | None = None
) -> BenchmarkSettings:
    """shape: in place of the one of the options."""
    for name in ("rounds", "threads"):
        if getattr(arguments, name) < 1:
            raise SystemExit(f"--{name} is {getattr(arguments, name)}, expected 1 or more")
    return BenchmarkSettings(
        shape=shape or shape_from_arguments(arguments),
        engines=arguments.engines,
        threads=arguments.threads,
        rounds=arguments.rounds,
        work_dir=arguments.work_dir.resolve(),
    )


def parse_numbers(text: str) -> tuple[int, ...]:
    """Ascending numbers of a comma-separated list; for argparse."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,8") from err
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError(f"{numbers[0]} is not 1 or more")
    return tuple(numbers)


def prepare_folders(settings: BenchmarkSettings) -> dict[str, Path]:
    """Engine name -> the folder that it loads, made from a checkpoint of the shape."""
    name = checkpoint_name(settings.shape)
    checkpoint = write_checkpoint(settings.work_dir / name, settings.shape)
    return {
        engine.name: prepare_engine(engine, checkpoint, settings.work_dir)
        for engine in settings.engines
    }


def run_benchmark(
    run: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None
) -> int:
    """The exit status: 1, with a line on stderr, where an engine cannot be prepared or fails."""
    try:
        run(argv)
    except (CommandError, WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
