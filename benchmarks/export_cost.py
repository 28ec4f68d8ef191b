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
minutes, 4 GiB and 8 GB (plans).

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
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness import bench, shapes
from harness.measure_command import CommandError, Measurement, folder_bytes, measure_command
from harness.prepare import OUR_EXPORT, optimum_export
from harness.table import Cell, Table, columns_of
from pegasus_runtime.bundle import open_bundle

GIB = 1024**3
FP16_BYTES = 2
SHAPES = {"xsum": shapes.XSUM, "bigbird": shapes.BIGBIRD}
SUMMARIES = {  # of the published checkpoints
    "xsum": ("--num-beams", "8", "--max-target-tokens", "64"),
    "bigbird": ("--num-beams", "5", "--max-target-tokens", "256"),
}
PRECISIONS = ("fp16", "int8", "int4")


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
    checkpoint = shapes.write_checkpoint(arguments.work_dir, shapes.shape_from_arguments(arguments))
    weights = (checkpoint / "model.safetensors").stat().st_size
    output, costs = arguments.work_dir / "exported", []
    ours: list[str | Path] = [*OUR_EXPORT, "--model", checkpoint, "--output", output, "--quiet"]
    commands = {"pegasus-export --target ort": ours}
    if not arguments.skip_optimum:
        commands["Optimum-ONNX"] = optimum_export(checkpoint, output)
    for name, command in commands.items():
        shutil.rmtree(output, ignore_errors=True)
        found = _run(command, f"export-{name.split()[0]}", arguments)
        size = folder_bytes(output)
        costs.append(Cost(name=name, weights_bytes=weights, export=found, disk_bytes=size))
    shutil.rmtree(output)
    return costs


def measure_plans(arguments: argparse.Namespace) -> list[Cost]:
    """Every shape in every precision; one that fails has an error in place of figures."""
    costs = []
    for shape in arguments.shapes:
        sizes = shapes.shape_from_arguments(arguments, SHAPES[shape])
        checkpoint = shapes.write_checkpoint(arguments.work_dir, sizes)
        weights = FP16_BYTES * count_parameters(checkpoint / "model.safetensors")
        for precision in arguments.precisions:
            cost = Cost(name=f"{shape} {precision}", weights_bytes=weights)
            folders = [arguments.work_dir / kind for kind in ("exported-graphs", "built-plans")]
            options = ["--precision", precision, *SUMMARIES[shape]]
            try:
                costs.append(_build(cost, checkpoint, folders, options, arguments))
            except CommandError as error:
                costs.append(replace(cost, error=str(error).splitlines()[-1]))
                print(f"error: {error}", file=sys.stderr)
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
    return costs


def _build(
    cost: Cost,
    checkpoint: Path,
    folders: Sequence[Path],
    options: Sequence[str],
    arguments: argparse.Namespace,
) -> Cost:
    graphs, plans = folders
    asked = arguments.compute_capability
    gpus = [] if asked is None else ["--compute-capability", asked]
    export: list[str | Path] = [*OUR_EXPORT, "--model", checkpoint, "--output", graphs, *options]
    export += ["--target", "trt-rtx", "--onnx-only", "--force", "--quiet"]
    build: list[str | Path] = [*OUR_EXPORT, "--build", graphs, "--output", plans, *gpus]
    return replace(
        cost,
        export=_run(export, f"export {cost.name}", arguments),
        build=_run([*build, "--force", "--quiet"], f"build {cost.name}", arguments),
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
    columns = columns_of(
        *("xsum's shape, fp32", "time|s|1", "peak memory|GiB|2", "x the checkpoint||2"),
        *("disk|GiB|2", "disk, x the checkpoint||2"),
    )
    rows: list[tuple[Cell, ...]] = []
    for cost in costs:
        assert cost.export is not None
        memory_x = cost.memory_x(cost.export, beyond=False)
        peak, disk = _gib(cost.export.peak_rss_bytes), _gib(cost.disk_bytes)
        rows.append((cost.name, cost.export.wall_s, peak, memory_x, disk, cost.disk_x))
    return Table(columns=columns, rows=tuple(rows))


def plan_table(costs: Sequence[Cost]) -> Table:
    columns = columns_of(
        *("trt-rtx", "fp16 weights|GiB|2", "plans and token table|GiB|2", "x the weights||2"),
        *("export, verified|s", "memory beyond the weights|x|2"),
        *("build|s", "build, memory beyond the weights|x|2"),
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


def _run(command: Sequence[str | Path], name: str, arguments: argparse.Namespace) -> Measurement:
    print(f"{name} …", file=sys.stderr, flush=True)
    log = arguments.work_dir / "logs" / f"{name.replace(' ', '-')}.log"
    return measure_command(command, log=log)


def _gib(size: int | None) -> float | None:
    return None if size is None else size / GIB


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--what", choices=("ort", "plans"), default="ort", help="default: %(default)s")
    add("--skip-optimum", action="store_true", help="measure only our export")
    add("--shapes", type=bench.names_of(SHAPES), default=tuple(SHAPES), help="default: both")
    add("--precisions", type=bench.names_of(PRECISIONS), default=("fp16",), help="default: fp16")
    add("--compute-capability", metavar="X.Y,…", help="default: pegasus-export's")
    shapes.add_shape_arguments(parser)
    arguments = parser.parse_args(argv)
    arguments.work_dir = arguments.work_dir.resolve()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    costs = measure_ort(arguments) if arguments.what == "ort" else measure_plans(arguments)
    table = ort_table(costs) if arguments.what == "ort" else plan_table(costs)
    name = "export_cost" if arguments.what == "ort" else "plan_cost"
    missing = {cost.name: cost.error for cost in costs if cost.error}
    costs_in_full = [asdict(cost) for cost in costs]
    bench.report(arguments, {name: table}, missing=missing, costs=costs_in_full)
    if missing:
        raise CommandError(f"failed: {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
