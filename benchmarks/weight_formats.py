"""What does it cost to read a checkpoint's weights, in each framework's file?

Writes a checkpoint of google/pegasus-xsum's shape with random weights (2.27 GB), and the same
weights as Flax, TensorFlow and older torch versions have them. Each file is read as an export reads
it, and all of its numbers are added up, in a process of its own; the files are in the disk cache.
Time is the median of the rounds, peak memory the largest of them; both have the start of Python
and torch in them, which the first row tells. It takes two minutes, 5 GiB of memory and 10 GB of
disk.

    python benchmarks/weight_formats.py --json docs/figures/weight_formats.json
    python benchmarks/weight_formats.py --layers 1 --d-model 64 --rounds 1     # does it work?
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from harness import bench, shapes
from harness.measure_command import Measurement, measure_command
from harness.table import Table, columns_of
from pegasus_export.checkpoint.weight_files import WeightsFormat

GIB = 1024**3
FORMATS: Mapping[str, WeightsFormat] = {
    "pytorch_model.bin": "bin",
    "tf_model.h5": "h5",
    "flax_model.msgpack": "flax",
}
HARNESS = Path(__file__).parent / "harness"
READER, WRITER = HARNESS / "workers" / "read_weights.py", HARNESS / "other_formats.py"
NOTHING = "nothing: Python and torch"


def write_formats(checkpoint: Path) -> dict[str, tuple[Path, WeightsFormat]]:
    """File name -> path and format; written once, in processes of their own.

    What this process has in memory counts as its children's, see `measure_command`.
    """
    source = checkpoint / "model.safetensors"
    files = {source.name: (source, "safetensors")}
    for name, kind in FORMATS.items():
        path = checkpoint / "formats" / name
        path.parent.mkdir(exist_ok=True)
        if not path.is_file():
            print(f"write {name} …", file=sys.stderr, flush=True)
            unfinished = path.with_suffix(".part")
            subprocess.run([sys.executable, WRITER, kind, source, unfinished], check=True)
            unfinished.rename(path)
        files[name] = (path, kind)
    return files


def measure_formats(
    files: Mapping[str, tuple[Path, WeightsFormat]], *, rounds: int, logs: Path
) -> dict[str, list[Measurement]]:
    """File name -> rounds, in turns, after one that brings all into the cache."""
    nothing: list[str | Path] = [sys.executable, "-c", "import torch"]
    commands = {NOTHING: nothing}
    commands |= {name: [sys.executable, READER, path, kind] for name, (path, kind) in files.items()}
    found: dict[str, list[Measurement]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            measured = measure_command(command, log=logs / f"{name.split(':')[0]}.log")
            if number:
                found[name].append(measured)
    return found


def make_table(
    files: Mapping[str, tuple[Path, WeightsFormat]], found: Mapping[str, Sequence[Measurement]]
) -> Table:
    columns = columns_of("weights", "file|GiB|2", "read|s|1", "peak memory|GiB|2", "x the file||2")
    rows = []
    for name, rounds in found.items():
        wall_s = statistics.median(each.wall_s for each in rounds)
        peak = max(each.peak_rss_bytes for each in rounds)
        size = files[name][0].stat().st_size if name in files else None
        share = None if size is None else peak / size
        rows.append((name, None if size is None else size / GIB, wall_s, peak / GIB, share))
    return Table(columns=columns, rows=tuple(rows))


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    shapes.add_shape_arguments(parser)
    arguments = parser.parse_args(argv)
    arguments.work_dir = arguments.work_dir.resolve()
    checkpoint = shapes.write_checkpoint(arguments.work_dir, shapes.shape_from_arguments(arguments))
    files = write_formats(checkpoint)
    found = measure_formats(files, rounds=arguments.rounds, logs=arguments.work_dir / "logs")
    rounds = {name: [asdict(each) for each in measured] for name, measured in found.items()}
    bench.report(arguments, {"weight_formats": make_table(files, found)}, rounds=rounds)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
