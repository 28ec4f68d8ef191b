"""What does building TensorRT's plans cost: time, memory and disk, of both model families?

Writes checkpoints of google/pegasus-xsum's and google/bigbird-pegasus-large's shapes with random
weights (568 and 576 M parameters), exports each with `pegasus-export --target trt-rtx --onnx-only`
and builds its plans with `pegasus-export --build`, each command in a process of its own. TensorRT
for RTX builds for GPUs that are not there, so that no GPU is needed.

"x" is times the weights in fp16, two bytes per parameter, whatever the precision. Memory is the
peak of the whole process tree: all of it (RSS), less those weights ("beyond"), and the part that no
file backs. The size is that of the plans and of the token table, which lies beside them.

The full shapes take about 15 minutes, 4 GiB of memory and 8 GB of disk; exports and plans are
deleted at the end unless --keep is given.

    python benchmarks/plan_cost.py --json plan_cost.json                       # as published
    python benchmarks/plan_cost.py --shape xsum --precisions fp16,int8,int4
    python benchmarks/plan_cost.py --layers 1 --d-model 64 --vocabulary 500    # does it work?
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import bigbird_shape
import xsum_shape
from bigbird_shape import BigBirdShape
from measure import CommandError, Measurement, describe_machine, measure_command
from peers import REPOSITORY
from pegasus_runtime.bundle import open_bundle
from ratio_table import Target, Verdict, format_columns, format_verdicts, judge
from xsum_shape import XSUM, PegasusShape

__all__ = ["BuildCost", "CommandCost", "Settings", "measure_shape"]

GIB = 1024**3
FP16_BYTES = 2
BIGBIRD = BigBirdShape(decoder_layers=16, positions=4096)
PUBLISHED: dict[str, PegasusShape | BigBirdShape] = {"xsum": XSUM, "bigbird": BIGBIRD}
SIZES = {  # of the published checkpoints' summaries
    "xsum": ("--num-beams", "8", "--max-target-tokens", "64"),
    "bigbird": ("--num-beams", "5", "--max-target-tokens", "256"),
}
PRECISIONS = ("fp16", "int8", "int4")
JUDGED_PRECISION = "fp16"
DISK_NEEDED_X = 4.5  # x the fp16 weights, for graphs and plans of one precision while they are made
MAX_MEMORY_X = 2.5
MAX_SIZE_X = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is measured, and where."""

    work_dir: Path
    precisions: tuple[str, ...]
    compute_capability: str | None
    """As pegasus-export takes it; None for its default."""
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCost:
    """One command; ``_x`` is times the fp16 weights."""

    wall_s: float
    peak_rss_bytes: int
    peak_anonymous_bytes: int
    beyond_weights_x: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildCost:
    """One shape at one precision; what was not reached is None, and `error` says why."""

    shape: str
    precision: str
    weights_bytes: int
    """In fp16."""
    export: CommandCost | None = None
    build: CommandCost | None = None
    plan_bytes: int | None = None
    table_bytes: int | None = None
    size_x: float | None = None
    error: str | None = None


def measure_shape(
    name: str, shape: PegasusShape | BigBirdShape, settings: Settings
) -> list[BuildCost]:
    """Exports and builds in every precision; one that fails has an error in place of figures."""
    checkpoint = _write_checkpoint(name, shape, settings.work_dir)
    weights = FP16_BYTES * count_parameters(checkpoint / "model.safetensors")
    costs = []
    for precision in settings.precisions:
        _check_free_disk(settings.work_dir, round(DISK_NEEDED_X * weights))
        folders = [
            settings.work_dir / f"{checkpoint.name}-{precision}-{kind}"
            for kind in ("onnx", "plans")
        ]
        try:
            costs.append(_measure(name, checkpoint, precision, weights, folders, settings))
        except CommandError as error:
            costs.append(
                BuildCost(
                    shape=name, precision=precision, weights_bytes=weights, error=_last_line(error)
                )
            )
            print(f"error: {error}", file=sys.stderr)
        finally:
            if not settings.keep:
                for folder in folders:
                    shutil.rmtree(folder, ignore_errors=True)
    return costs


def count_parameters(weights: Path) -> int:
    """Of a safetensors file, from its header."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    return sum(math.prod(entry["shape"]) for entry in tensors)


def command_cost(measured: Measurement, weights_bytes: int) -> CommandCost:
    """Beyond the weights: peak memory less them, times them."""
    return CommandCost(
        wall_s=round(measured.wall_s, 2),
        peak_rss_bytes=measured.peak_rss_bytes,
        peak_anonymous_bytes=measured.peak_anonymous_bytes,
        beyond_weights_x=round((measured.peak_rss_bytes - weights_bytes) / weights_bytes, 3),
    )


def format_table(costs: Sequence[BuildCost]) -> str:
    """A row for each shape and precision; times and memory of both commands."""
    memory = ("peak", "anonymous", "beyond weights")
    header = ("", "fp16 weights", "export", *memory, "build", *memory, "plans", "table", "size")
    rows: list[tuple[str, ...]] = [header]
    for cost in costs:
        name = f"{cost.shape} {cost.precision}"
        cells = [_gib(cost.weights_bytes)]
        for command in (cost.export, cost.build):
            cells += ["", "", "", ""] if command is None else _command_cells(command)
        cells += [_gib(cost.plan_bytes), _gib(cost.table_bytes)]
        cells.append("" if cost.size_x is None else f"{cost.size_x:.3f} x")
        rows.append((name, *cells))
    failures = [
        f"{cost.shape} {cost.precision} failed: {cost.error}" for cost in costs if cost.error
    ]
    return "\n".join([format_columns(rows), *failures])


def judge_costs(costs: Sequence[BuildCost]) -> list[Verdict]:
    """Memory of both commands, and the size, of fp16."""
    targets, figures = [], {}
    for cost in costs:
        if cost.precision != JUDGED_PRECISION:
            continue
        for what, limit, got in (
            ("memory of the export beyond weights", MAX_MEMORY_X, cost.export),
            ("memory of the build beyond weights", MAX_MEMORY_X, cost.build),
            ("plans and table", MAX_SIZE_X, cost.size_x),
        ):
            name = f"{cost.shape} {cost.precision}: {what}"
            figures[name] = got.beyond_weights_x if isinstance(got, CommandCost) else got
            targets.append(Target(name=name, limit=limit, at_most=True))
    return judge(targets, figures)


def _measure(
    name: str,
    checkpoint: Path,
    precision: str,
    weights: int,
    folders: Sequence[Path],
    settings: Settings,
) -> BuildCost:
    graphs, plans = folders
    cli = Path(sys.executable).with_name("pegasus-export")
    options = ["--target", "trt-rtx", "--precision", precision, "--onnx-only", *SIZES[name]]
    capability = settings.compute_capability
    gpus = [] if capability is None else ["--compute-capability", capability]
    exported = _run(
        [cli, "--model", checkpoint, "--output", graphs, *options, "--force", "--quiet"],
        f"{checkpoint.name}-{precision}-export",
        settings,
    )
    built = _run(
        [cli, "--build", graphs, "--output", plans, *gpus, "--force", "--quiet"],
        f"{checkpoint.name}-{precision}-build",
        settings,
    )
    plan_bytes, table_bytes = plan_and_table_bytes(plans)
    return BuildCost(
        shape=name,
        precision=precision,
        weights_bytes=weights,
        export=command_cost(exported, weights),
        build=command_cost(built, weights),
        plan_bytes=plan_bytes,
        table_bytes=table_bytes,
        size_x=round((plan_bytes + table_bytes) / weights, 4),
    )


def plan_and_table_bytes(folder: Path) -> tuple[int, int]:
    """The files of a bundle's plans, and those of its tables."""
    bundle = open_bundle(folder)
    plans = {spec.file for spec in bundle.manifest.graphs.values()}
    tables = {spec.file for spec in bundle.manifest.tables.values()} - plans

    def size(files: set[str]) -> int:
        return sum(bundle.path(file).stat().st_size for file in files)

    return size(plans), size(tables)


def _run(command: Sequence[str | Path], name: str, settings: Settings) -> Measurement:
    print(f"{name} …", file=sys.stderr, flush=True)
    return measure_command(command, log=settings.work_dir / "logs" / f"{name}.log")


def _write_checkpoint(name: str, shape: PegasusShape | BigBirdShape, work_dir: Path) -> Path:
    if isinstance(shape, PegasusShape):
        folder = work_dir / xsum_shape.checkpoint_name(shape)
        return xsum_shape.write_checkpoint(folder, shape)
    sizes = (shape.encoder_layers, shape.d_model, shape.vocabulary, shape.positions)
    marks = "" if shape == BIGBIRD else "-" + "x".join(map(str, sizes))
    return bigbird_shape.write_checkpoint(work_dir / f"{name}-shape{marks}", shape)


def _check_free_disk(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise SystemExit(
            f"{folder} has {_gib(free)} free, graphs and plans need {_gib(needed_bytes)}: make "
            "room, or pass another --work-dir"
        )


def _last_line(error: CommandError) -> str:
    """The command's own error, if it had one."""
    lines = str(error).splitlines()
    return next((line for line in reversed(lines) if re.search("error", line, re.I)), lines[-1])


def _command_cells(cost: CommandCost) -> list[str]:
    memory = (_gib(cost.peak_rss_bytes), _gib(cost.peak_anonymous_bytes))
    return [f"{cost.wall_s:.0f} s", *memory, f"{cost.beyond_weights_x:.2f} x"]


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / GIB:.2f} GiB"


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--shape", choices=(*PUBLISHED, "both"), default="both", help="default: %(default)s")
    add("--precisions", default=JUDGED_PRECISION, help="default: %(default)s")
    add(
        "--compute-capability",
        metavar="X.Y,...",
        help="GPUs to build for; default: pegasus-export's",
    )
    add("--keep", action="store_true", help="keep the exported folders")
    add("--work-dir", type=Path, default=REPOSITORY / "build" / "benchmarks")
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    group = parser.add_argument_group("shape", "defaults are the published ones")
    group.add_argument("--layers", type=int, default=XSUM.encoder_layers, help="of each stack")
    group.add_argument("--d-model", type=int, default=XSUM.d_model)
    group.add_argument("--vocabulary", type=int, default=XSUM.vocabulary)
    group.add_argument("--positions", type=int, help="longest document; default: 512 and 4096")
    arguments = parser.parse_args(argv)
    arguments.precisions = tuple(dict.fromkeys(arguments.precisions.split(",")))
    unknown = set(arguments.precisions) - set(PRECISIONS)
    if unknown:
        parser.error(f"--precisions: {min(unknown)!r} is none of {', '.join(PRECISIONS)}")
    return arguments


def shapes_from_arguments(arguments: argparse.Namespace) -> dict[str, PegasusShape | BigBirdShape]:
    """Name -> shape, of those that were asked for."""
    layers, d_model, heads = arguments.layers, arguments.d_model, max(1, arguments.d_model // 64)
    xsum = PegasusShape(
        encoder_layers=layers,
        decoder_layers=layers,
        d_model=d_model,
        ffn_dim=4 * d_model,
        heads=heads,
        vocabulary=arguments.vocabulary,
        positions=arguments.positions or XSUM.positions,
    )
    bigbird = BigBirdShape(
        encoder_layers=layers,
        decoder_layers=layers,
        d_model=d_model,
        ffn_dim=4 * d_model,
        heads=heads,
        vocabulary=arguments.vocabulary,
        positions=arguments.positions or BIGBIRD.positions,
    )
    shapes: dict[str, PegasusShape | BigBirdShape] = {"xsum": xsum, "bigbird": bigbird}
    return {name: x for name, x in shapes.items() if arguments.shape in (name, "both")}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    settings = Settings(
        work_dir=arguments.work_dir.resolve(),
        precisions=arguments.precisions,
        compute_capability=arguments.compute_capability,
        keep=arguments.keep,
    )
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    shapes = shapes_from_arguments(arguments)
    costs = [cost for name, x in shapes.items() for cost in measure_shape(name, x, settings)]
    print(format_table(costs))
    verdicts: list[Verdict] = []
    if all(shape == PUBLISHED[name] for name, shape in shapes.items()):
        verdicts = judge_costs(costs)
        print(f"\n{format_verdicts(verdicts)}")
    else:
        print("the targets are for the published shapes: these only show that the script works")
    if arguments.json:
        report = {
            "machine": describe_machine(REPOSITORY),
            "shapes": {name: asdict(shape) for name, shape in shapes.items()},
            "compute_capability": settings.compute_capability,
            "costs": [asdict(cost) for cost in costs],
            "targets": [asdict(verdict) for verdict in verdicts],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(cost.error for cost in costs))


if __name__ == "__main__":
    sys.exit(main())
