"""What does an export cost: time, memory and disk, beside the peer's, in one run?

Writes a checkpoint of google/pegasus-xsum's shape with random weights (568 M parameters, 2.27 GB),
exports it with `pegasus-export --target ort --precision fp32` and with Optimum-ONNX, each in a
process of its own, and prints both beside the targets. Memory is that of the whole process tree;
"x" is times the size of the checkpoint's weights.

The full shape takes about three minutes, and up to 15 GB of memory and 20 GB of disk, nearly all
of it for the peer; the exports are deleted at the end unless --keep is given.

    python benchmarks/export_cost.py --json export_cost.json    # the published figures
    python benchmarks/export_cost.py --skip-optimum             # ours alone, about a minute
    python benchmarks/export_cost.py --layers 2 --d-model 64    # does the script work?
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from measure import CommandError, Measurement, describe_machine, folder_bytes, measure_command
from peers import PEERS, REPOSITORY, ensure_peer
from xsum_shape import (
    XSUM,
    PegasusShape,
    add_shape_arguments,
    checkpoint_name,
    shape_from_arguments,
    write_checkpoint,
)

__all__ = ["ExportCost", "measure_exports"]

GIB = 1024**3
DISK_NEEDED_PER_CHECKPOINT = {"pegasus-edge": 2.2, "optimum": 8.0}  # x the weights, while running


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The most that an export of the published shape may cost."""

    wall_s: float = 45.0
    memory_x: float = 2.0
    disk_x: float = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCost:
    """What one exporter took; ``_x`` is times the size of the checkpoint's weights."""

    exporter: str
    wall_s: float
    peak_rss_bytes: int
    peak_rss_x: float
    peak_anonymous_bytes: int
    largest_process_bytes: int
    disk_bytes: int
    disk_x: float


def measure_exports(
    shape: PegasusShape, work_dir: Path, *, with_optimum: bool, keep: bool
) -> tuple[int, list[ExportCost]]:
    """Export the shape with each exporter; returns the size of the weights and the costs."""
    checkpoint = write_checkpoint(work_dir / checkpoint_name(shape), shape)
    weights_bytes = (checkpoint / "model.safetensors").stat().st_size
    exporters = ["pegasus-edge", "optimum"] if with_optimum else ["pegasus-edge"]
    costs = []
    for exporter in exporters:
        output = work_dir / f"exported-by-{exporter}"
        shutil.rmtree(output, ignore_errors=True)
        _check_free_disk(work_dir, round(weights_bytes * DISK_NEEDED_PER_CHECKPOINT[exporter]))
        command = _command(exporter, checkpoint, output)
        print(f"exporting with {exporter} …", file=sys.stderr, flush=True)
        measured = measure_command(command, log=work_dir / f"{exporter}.log")
        costs.append(_cost(exporter, measured, folder_bytes(output), weights_bytes))
        if not keep:
            shutil.rmtree(output)
    return weights_bytes, costs


def format_table(weights_bytes: int, costs: Sequence[ExportCost], targets: Targets) -> str:
    """The table that a reader sees, ours first, targets last."""
    rows = [("", "time", "peak memory", "disk")]
    for cost in costs:
        memory = f"{cost.peak_rss_bytes / GIB:.2f} GiB ({cost.peak_rss_x:.2f} x)"
        disk = f"{cost.disk_bytes / GIB:.2f} GiB ({cost.disk_x:.2f} x)"
        rows.append((cost.exporter, f"{cost.wall_s:.1f} s", memory, disk))
    limits = (f"≤ {targets.wall_s:g} s", f"≤ {targets.memory_x:g} x", f"≤ {targets.disk_x:g} x")
    rows.append(("target", *limits))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [f"weights of the checkpoint: {weights_bytes / GIB:.2f} GiB"]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def judge(cost: ExportCost, targets: Targets) -> str:
    """One line: which targets our export misses."""
    missed = [
        f"{name} {got:.2f}{unit} > {limit:g}{unit}"
        for name, got, limit, unit in (
            ("time", cost.wall_s, targets.wall_s, " s"),
            ("memory", cost.peak_rss_x, targets.memory_x, " x"),
            ("disk", cost.disk_x, targets.disk_x, " x"),
        )
        if got > limit
    ]
    return f"missed: {', '.join(missed)}" if missed else "all targets met"


def _command(exporter: str, checkpoint: Path, output: Path) -> list[str | Path]:
    if exporter == "optimum":
        cli = ensure_peer("optimum").bin / "optimum-cli"
        task = "text2text-generation-with-past"
        return [cli, "export", "onnx", "--model", checkpoint, "--task", task, output]
    cli = Path(sys.executable).with_name("pegasus-export")
    options = ["--target", "ort", "--precision", "fp32", "--force", "--quiet"]
    return [cli, "--model", checkpoint, *options, "--output", output]


def _cost(exporter: str, measured: Measurement, disk: int, weights_bytes: int) -> ExportCost:
    return ExportCost(
        exporter=exporter,
        wall_s=round(measured.wall_s, 2),
        peak_rss_bytes=measured.peak_rss_bytes,
        peak_rss_x=round(measured.peak_rss_bytes / weights_bytes, 3),
        peak_anonymous_bytes=measured.peak_anonymous_bytes,
        largest_process_bytes=measured.largest_process_bytes,
        disk_bytes=disk,
        disk_x=round(disk / weights_bytes, 3),
    )


def _check_free_disk(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise SystemExit(
            f"{folder} has {free / GIB:.1f} GiB free, the export needs {needed_bytes / GIB:.1f}"
            " GiB: make room, or pass another --work-dir"
        )


def _parse(argv: list[str] | None) -> argparse.Namespace:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=REPOSITORY / "build" / "benchmarks",
        help="for the checkpoint (kept for the next run), exports and logs; default: %(default)s",
    )
    parser.add_argument("--skip-optimum", action="store_true", help="measure only our export")
    parser.add_argument("--keep", action="store_true", help="keep the exported folders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    add_shape_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    arguments = _parse(argv)
    shape, targets = shape_from_arguments(arguments), Targets()
    try:
        weights_bytes, costs = measure_exports(
            shape,
            arguments.work_dir,
            with_optimum=not arguments.skip_optimum,
            keep=arguments.keep,
        )
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(format_table(weights_bytes, costs, targets))
    if shape == XSUM:
        print(judge(costs[0], targets))
    else:
        print("the targets are for the published shape: this one only shows that the script works")
    if arguments.json:
        report = {
            "machine": describe_machine(REPOSITORY),
            "optimum_packages": PEERS["optimum"].versions(),
            "shape": asdict(shape),
            "weights_bytes": weights_bytes,
            "targets": asdict(targets),
            "exports": [asdict(cost) for cost in costs],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
