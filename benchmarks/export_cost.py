"""What does an export cost: time, memory and disk, beside the peer's, and with TensorRT's plans?

Writes checkpoints of google/pegasus-xsum's and google/bigbird-pegasus-large's shapes with random
weights (568 and 576 M parameters), and exports them, each command in a process of its own:

- ort: `pegasus-export --target ort --precision fp32` of xsum, and Optimum-ONNX's export of it. "x"
  is times the checkpoint's weights.
- plans: `pegasus-export --target trt-rtx --onnx-only` of both shapes, and `pegasus-export --build`.
  TensorRT for RTX builds for GPUs that are not there, so that no GPU is needed. "x" is times the
  weights in fp16, two bytes per parameter, whatever the precision; the size is that of the plans
  and of the token table, which lies beside them.

Memory is the peak of the whole process tree; "beyond" is less those weights. The full shapes take
three minutes, 15 GB of memory and 20 GB of disk (ort, nearly all of it for the peer), and 15
minutes, 4 GiB and 8 GB (plans); what was exported is deleted unless --keep is given.

    python benchmarks/export_cost.py --json docs/figures/export_cost.json
    python benchmarks/export_cost.py --what plans --json docs/figures/plan_cost.json
    python benchmarks/export_cost.py --skip-optimum                          # about a minute
    python benchmarks/export_cost.py --what plans --precisions fp16,int8,int4 --shapes xsum
    python benchmarks/export_cost.py --layers 1 --d-model 64                 # does it work?
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import bench
from harness.measure_command import CommandError, Measurement, folder_bytes, measure_command
from harness.prepare import OUR_EXPORT, optimum_export
from harness.shapes import (
    BIGBIRD,
    XSUM,
    add_shape_arguments,
    shape_from_arguments,
    write_checkpoint,
)
from harness.table import Cell, Column, Table
from pegasus_runtime.bundle import open_bundle

GIB = 1024**3
FP16_BYTES = 2
SHAPES = {"xsum": XSUM, "bigbird": BIGBIRD}
SUMMARIES = {  # of the published checkpoints
    "xsum": ("--num-beams", "8", "--max-target-tokens", "64"),
    "bigbird": ("--num-beams", "5", "--max-target-tokens", "256"),
}
PRECISIONS = ("fp16", "int8", "int4")
DISK_NEEDED_X = {"pegasus-edge": 2.2, "optimum": 8.0, "plans": 4.5}  # x the weights, while running


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One export; what was not reached is None, and ``error`` says why."""

    name: str
    weights_bytes: int
    export: Measurement | None = None
    build: Measurement | None = None
    """Of the plans."""
    disk_bytes: int | None = None
    error: str | None = None

    def memory_x(self, command: Measurement | None, *, beyond: bool) -> float | None:
        """Times the weights."""
        return None if command is None else command.peak_rss_bytes / self.weights_bytes - beyond

    @property
    def disk_x(self) -> float | None:
        return None if self.disk_bytes is None else self.disk_bytes / self.weights_bytes


def measure_ort(arguments: argparse.Namespace) -> list[Cost]:
    """Ours and the peer's."""
    work_dir: Path = arguments.work_dir
    checkpoint = write_checkpoint(work_dir, shape_from_arguments(arguments))
    weights = (checkpoint / "model.safetensors").stat().st_size
    costs = []
    for exporter in ("pegasus-edge",) if arguments.skip_optimum else ("pegasus-edge", "optimum"):
        output = work_dir / f"exported-by-{exporter}"
        shutil.rmtree(output, ignore_errors=True)
        _check_free_disk(work_dir, round(weights * DISK_NEEDED_X[exporter]))
        command: list[str | Path] = [
            *OUR_EXPORT,
            "--model",
            checkpoint,
            "--output",
            output,
            "--quiet",
        ]
        name = "pegasus-export --target ort"
        if exporter == "optimum":
            command, name = optimum_export(checkpoint, output), "Optimum-ONNX"
        found = _run(command, f"export-by-{exporter}", work_dir)
        size = folder_bytes(output)
        costs.append(Cost(name=name, weights_bytes=weights, export=found, disk_bytes=size))
        if not arguments.keep:
            shutil.rmtree(output)
    return costs


def measure_plans(arguments: argparse.Namespace) -> list[Cost]:
    """Every shape in every precision; one that fails has an error in place of figures."""
    work_dir: Path = arguments.work_dir
    costs = []
    for shape in arguments.shapes:
        checkpoint = write_checkpoint(work_dir, shape_from_arguments(arguments, SHAPES[shape]))
        weights = FP16_BYTES * count_parameters(checkpoint / "model.safetensors")
        for precision in arguments.precisions:
            _check_free_disk(work_dir, round(DISK_NEEDED_X["plans"] * weights))
            name = f"{shape} {precision}"
            base = work_dir / f"{checkpoint.name}-{precision}"
            folders = [base.with_name(f"{base.name}-{kind}") for kind in ("onnx", "plans")]
            options = ["--precision", precision, *SUMMARIES[shape]]
            try:
                costs.append(_build(name, checkpoint, weights, folders, options, arguments))
            except CommandError as error:
                costs.append(Cost(name=name, weights_bytes=weights, error=_last_line(error)))
                print(f"error: {error}", file=sys.stderr)
            finally:
                for folder in folders if not arguments.keep else ():
                    shutil.rmtree(folder, ignore_errors=True)
    return costs


def _build(
    name: str,
    checkpoint: Path,
    weights: int,
    folders: Sequence[Path],
    options: Sequence[str],
    arguments: argparse.Namespace,
) -> Cost:
    graphs, plans = folders
    capability = arguments.compute_capability
    gpus = [] if capability is None else ["--compute-capability", capability]
    target = ["--target", "trt-rtx", "--onnx-only", "--force", "--quiet", *options]
    export: list[str | Path] = [*OUR_EXPORT, "--model", checkpoint, "--output", graphs, *target]
    exported = _run(export, f"{graphs.name}-export", arguments.work_dir)
    build: list[str | Path] = [
        *OUR_EXPORT,
        "--build",
        graphs,
        "--output",
        plans,
        *gpus,
        "--force",
        "--quiet",
    ]
    built = _run(build, f"{plans.name}-build", arguments.work_dir)
    return Cost(
        name=name,
        weights_bytes=weights,
        export=exported,
        build=built,
        disk_bytes=plan_and_table_bytes(plans),
    )


def plan_and_table_bytes(folder: Path) -> int:
    """The files of a bundle's plans, and of the tables beside them."""
    bundle = open_bundle(folder)
    manifest = bundle.manifest
    files = {spec.file for spec in manifest.graphs.values()}
    files |= {spec.file for spec in manifest.tables.values()}
    return sum(bundle.path(file).stat().st_size for file in files)


def count_parameters(weights: Path) -> int:
    """Of a safetensors file, from its header."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    return sum(math.prod(entry["shape"]) for entry in tensors)


def ort_table(costs: Sequence[Cost]) -> Table:
    columns = (
        Column(title="xsum's shape, fp32"),
        Column(title="time", unit="s", digits=1),
        Column(title="peak memory", unit="GiB", digits=2),
        Column(title="x the checkpoint", digits=2),
        Column(title="disk", unit="GiB", digits=2),
        Column(title="disk, x the checkpoint", digits=2),
    )
    rows: list[tuple[Cell, ...]] = []
    for cost in costs:
        assert cost.export is not None
        memory_x = cost.memory_x(cost.export, beyond=False)
        peak, disk = _gib(cost.export.peak_rss_bytes), _gib(cost.disk_bytes)
        rows.append((cost.name, cost.export.wall_s, peak, memory_x, disk, cost.disk_x))
    return Table(columns=columns, rows=tuple(rows))


def plan_table(costs: Sequence[Cost]) -> Table:
    columns = (
        Column(title="trt-rtx"),
        Column(title="fp16 weights", unit="GiB", digits=2),
        Column(title="plans and token table", unit="GiB", digits=2),
        Column(title="x the weights", digits=2),
        Column(title="export, verified", unit="s"),
        Column(title="memory beyond the weights", unit="x", digits=2),
        Column(title="build", unit="s"),
        Column(title="build, memory beyond the weights", unit="x", digits=2),
    )
    rows: list[tuple[Cell, ...]] = []
    for cost in costs:
        commands: list[Cell] = []
        for command in (cost.export, cost.build):
            wall_s = None if command is None else command.wall_s
            commands += [wall_s, cost.memory_x(command, beyond=True)]
        sizes = (_gib(cost.weights_bytes), _gib(cost.disk_bytes), cost.disk_x)
        rows.append((cost.name, *sizes, *commands))
    return Table(columns=columns, rows=tuple(rows))


def _run(command: Sequence[str | Path], name: str, work_dir: Path) -> Measurement:
    print(f"{name} …", file=sys.stderr, flush=True)
    return measure_command(command, log=work_dir / "logs" / f"{name}.log")


def _check_free_disk(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise SystemExit(
            f"{folder} has {free / GIB:.1f} GiB free, the export needs {needed_bytes / GIB:.1f}"
            " GiB: make room, or pass another --work-dir"
        )


def _last_line(error: CommandError) -> str:
    """The command's own error, if it had one."""
    lines = str(error).splitlines()
    return next((line for line in reversed(lines) if re.search("error", line, re.I)), lines[-1])


def _gib(size: int | None) -> float | None:
    return None if size is None else size / GIB


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(text.split(",")))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{min(unknown)!r} is none of {', '.join(known)}")
        return names

    return parse


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--what", choices=("ort", "plans"), default="ort", help="default: %(default)s")
    add("--skip-optimum", action="store_true", help="measure only our export")
    add("--keep", action="store_true", help="keep the exported folders")
    group = parser.add_argument_group("plans")
    add = group.add_argument
    add("--shapes", type=_names(tuple(SHAPES)), default=tuple(SHAPES), help="default: both")
    add("--precisions", type=_names(PRECISIONS), default=("fp16",), help="default: fp16")
    add("--compute-capability", metavar="X.Y,…", help="default: pegasus-export's")
    add_shape_arguments(parser)
    arguments = parser.parse_args(argv)
    arguments.work_dir = arguments.work_dir.resolve()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    return arguments


def run(argv: Sequence[str] | None) -> None:
    arguments = parse_arguments(argv)
    costs = measure_ort(arguments) if arguments.what == "ort" else measure_plans(arguments)
    table = ort_table(costs) if arguments.what == "ort" else plan_table(costs)
    name = "export_cost" if arguments.what == "ort" else "plan_cost"
    missing = {cost.name: cost.error for cost in costs if cost.error}
    figures = {"costs": [asdict(cost) for cost in costs]}
    bench.report(arguments, __doc__, {name: table}, figures=figures, missing=missing)
    if missing:
        raise CommandError(f"failed: {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
