"""What all benchmarks share around their measurements: options, and the report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from harness import shapes
from harness.engines import ENGINES, Engine, find_engines
from harness.gpu import NO_GPU_STATUS, NoGpuError
from harness.instructions import INSTRUCTIONS, NOT_HELD
from harness.machine import REPOSITORY, describe_machine, made_by
from harness.measure_command import CommandError
from harness.protocol import Tokens
from harness.rounds import Timings
from harness.table import Table
from harness.worker_process import WorkerError
from pegasus_runtime.errors import EngineError

THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryWork:
    """The work of one document; the defaults are the published one's."""

    source_tokens: int = 512
    new_tokens: int = 64
    beams: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the shared options came to."""

    shape: shapes.Shape
    device: str
    engines: tuple[Engine, ...]
    threads: int
    """0 on a GPU."""
    rounds: int
    work_dir: Path
    work: SummaryWork = SummaryWork()
    instructions: str | None = None
    """That engines are held to; None leaves them all that the processor has."""

    @property
    def log_dir(self) -> Path:
        return self.work_dir / "logs"

    @property
    def engine_names(self) -> tuple[str, ...]:
        return tuple(engine.name for engine in self.engines)

    def documents(self, *lengths: int) -> Tokens:
        """One of each length in tokens, seeded."""
        shape = self.shape
        return shapes.random_documents(lengths, vocabulary=shape.vocabulary, seed=shape.seed)


def make_parser(documentation: str | None, *, epilog: str = "") -> argparse.ArgumentParser:
    """A parser with --work-dir and --json; ``documentation`` is the script's docstring."""
    summary, details = (documentation or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary,
        epilog=f"{details.rstrip()}{epilog}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    help_dir = "for checkpoints, models (all kept for the next run) and logs; build/benchmarks"
    work_dir = REPOSITORY / "build" / "benchmarks"
    parser.add_argument("--work-dir", type=Path, default=work_dir, help=help_dir)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.set_defaults(question=summary)
    return parser


def add_engine_arguments(
    parser: argparse.ArgumentParser, *, engines: str, rounds: int, on_gpu: bool = False
) -> None:
    """engines, rounds: the defaults. on_gpu: whether the script can compare on a GPU too."""
    add = parser.add_argument
    add("--engines", metavar="A,B", help=f"what to compare; default: {engines}")
    add("--rounds", type=int, help=f"measured times; default: {rounds}")
    if on_gpu:
        add("--device", choices=tuple(ENGINES), default="cpu", help="default: %(default)s")
    add("--threads", type=int, default=THREADS, help="of each engine, on CPUs; default: 2")
    help_held = "hold the engines' libraries to these instructions, of those that the CPU has"
    add("--instructions", choices=tuple(INSTRUCTIONS), help=help_held)
    shapes.add_shape_arguments(parser)
    parser.set_defaults(usual_engines=engines, usual_rounds=rounds)


def add_summary_arguments(parser: argparse.ArgumentParser) -> None:
    """Options for the work of one document."""
    for each in fields(SummaryWork):
        flag = f"--{each.name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=each.default, help="default: %(default)s")


def settings_from_arguments(
    parser: argparse.ArgumentParser,
    arguments: argparse.Namespace,
    *,
    shape: shapes.Shape | None = None,
    known: Mapping[str, Engine] | None = None,
) -> Settings:
    """shape: in place of the one of the options. known: engines, in place of the device's.

    Ends the program where an option is wrong.
    """
    device = getattr(arguments, "device", "cpu")
    rounds = arguments.usual_rounds if arguments.rounds is None else arguments.rounds
    for name, value in (("rounds", rounds), ("threads", arguments.threads)):
        if value < 1:
            parser.error(f"--{name} is {value}, expected 1 or more")
    try:
        engines = find_engines(
            arguments.engines or arguments.usual_engines, known or ENGINES[device]
        )
    except argparse.ArgumentTypeError as err:
        parser.error(f"--engines: {err}")
    if held := arguments.instructions:
        forced = INSTRUCTIONS[held]
        engines = tuple(replace(x, environment={**x.environment, **forced}) for x in engines)
    names = [each.name for each in fields(SummaryWork) if hasattr(arguments, each.name)]
    return Settings(
        work=SummaryWork(**{name: getattr(arguments, name) for name in names}),
        shape=shape or shapes.shape_from_arguments(arguments),
        device=device,
        engines=engines,
        threads=arguments.threads if device == "cpu" else 0,
        rounds=rounds,
        work_dir=arguments.work_dir.resolve(),
        instructions=held,
    )


def names_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """What argparse takes to parse a comma-separated list of known names."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{min(unknown)!r} is none of {', '.join(known)}")
        return names

    return parse


def parse_numbers(text: str) -> tuple[int, ...]:
    """Ascending numbers of a comma-separated list; for argparse."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 1,8") from err
    if numbers[0] < 1:
        raise argparse.ArgumentTypeError(f"{numbers[0]} is not 1 or more")
    return tuple(numbers)


def report(
    arguments: argparse.Namespace,
    tables: Mapping[str, Table],
    *,
    settings: Settings | None = None,
    timings: Timings | None = None,
    missing: Mapping[str, object] | None = None,
    gpu: object | None = None,
    **figures: object,
) -> None:
    """Prints the tables, and writes all to --json.

    missing: what has no figures, and why; beside what timings lack. gpu: its description, where
    one was measured. figures: what else goes into the file.
    """
    timings = timings or Timings()
    missing = {**timings.missing, **(missing or {})}
    for name, table in tables.items():
        print(f"{name}\n{table.text()}\n")
    for name, reason in missing.items():
        print(f"not measured: {name}: {reason}")
    if arguments.json is None:
        return
    script = Path(sys.argv[0]).name
    content = {
        "question": arguments.question,
        "made": made_by(" ".join([f"python benchmarks/{script}", *sys.argv[1:]])),
        "notes": _notes(settings, timings),
        "machine": describe_machine() | ({} if gpu is None else {"gpu": str(gpu)}),
        "tables": {name: table.to_json() for name, table in tables.items()},
        "missing": missing,
        "settings": settings and _without_paths(asdict(settings)),
        "timings": asdict(timings),
        **figures,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
    arguments.json.write_text(text + "\n", "utf-8")


def _notes(settings: Settings | None, timings: Timings) -> list[str]:
    """What runs the engines, and with which instructions, as a caption has it."""
    ran = {name: ready.engine for name, ready in timings.workers.items() if ready.engine}
    held = settings and settings.instructions
    told = [f"{name}: {engine}" for name, engine in ran.items()]
    return told + ([f"libraries held to {held.upper()}; {NOT_HELD}"] if held else [])


def _without_paths(settings: dict[str, object]) -> dict[str, object]:
    """Where somebody's machine keeps things is no part of what was measured."""
    return {name: value for name, value in settings.items() if not isinstance(value, Path)}


def run_script(
    run: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None
) -> int:
    """The exit status, and a line on stderr: 1 where a command or an engine fails, 2 without a GPU
    that is needed."""
    try:
        run(argv)
    except NoGpuError as error:
        print(f"error: {error}", file=sys.stderr)
        return NO_GPU_STATUS
    except (CommandError, WorkerError, EngineError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
