"""How fast is pegasus-edge on this NVIDIA GPU, and are its goals met? One call of eight minutes.

It runs the benchmarks that need a GPU, each in a process of its own and with a time limit, so that
one that fails or hangs hides no other, and holds their figures against the goals:

- latency: a document of xsum's shape at batch 1 and 8, per document and per step, and the share of
  the bandwidth bound; beside transformers (eager, fp16 and bf16) and CTranslate2 (latency.py).
- compiled: transformers with a static cache and torch.compile, which takes a minute to compile.
- attention: block-sparse attention at 1k to 16k tokens beside flash attention over all keys and
  FlexAttention (block_sparse.py).

What needs no GPU is made beforehand with --prepare, into --work-dir: the checkpoint, the graphs
that plans are built of, and what CTranslate2 converts. --dry-run says what would run, what there is
to carry, and what it weighs; both need no GPU.

    python benchmarks/gpu_figures.py --prepare
    python benchmarks/gpu_figures.py --json build/gpu/figures.json
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import bench
from harness.engines import ENGINES, PLAN_MODULES
from harness.gpu import find_gpu
from harness.measure_command import CommandError
from harness.prepare import PlanSizes, prepare_engine, prepare_graphs
from harness.shapes import XSUM, write_checkpoint
from harness.table import Cell, Column, Table, ratio
from harness.worker_process import WorkerError

OURS = ("pegasus-edge-trt-rtx-fp16", "pegasus-edge-trt-fp16", "pegasus-edge-ort-fp16")
EAGER = ("transformers-fp16", "transformers-bf16")
PEERS = (*EAGER, "ctranslate2-float16")
COMPILED = "transformers-fp16-compiled"
BATCHES = (1, 8)
SIZES = PlanSizes(max_batch=max(BATCHES))
TOKENS = (1024, 2048, 4096, 8192, 16384)
PACKAGES = (
    *("numpy", "sentencepiece", "torch", "triton", "transformers", "ctranslate2"),
    *("cuda-bindings", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx-cu13"),
    *("tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu13-bindings", "tensorrt-cu13-libs"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A benchmark of this folder, and the seconds that it may take."""

    name: str
    script: str
    arguments: tuple[str, ...]
    limit_s: float

    def command(self, work_dir: Path) -> list[str]:
        path = Path(__file__).resolve().parent / self.script
        return [
            *(sys.executable, str(path), *self.arguments),
            *("--work-dir", str(work_dir), "--json", str(self.report(work_dir))),
        ]

    def report(self, work_dir: Path) -> Path:
        return work_dir / f"gpu_figures_{self.name}.json"


def _latency(name: str, limit_s: float, *engines: str) -> Stage:
    options = ("--device", "cuda", "--rounds", "3", "--batch", ",".join(map(str, BATCHES)))
    return Stage(
        name=name,
        script="latency.py",
        arguments=(*options, "--engines", ",".join(engines)),
        limit_s=limit_s,
    )


STAGES = (
    Stage(
        name="attention",
        script="block_sparse.py",
        arguments=("--tokens", ",".join(map(str, TOKENS)), "--batch", "1", "--rounds", "20"),
        limit_s=110,
    ),
    _latency("latency", 250, *OURS, *PEERS),
    _latency("compiled", 110, COMPILED),
)
LIMIT_S = 480
"""Of all stages together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """asked: at least so much, or at most where `is_most`."""

    name: str
    asked: float
    found: float | None
    is_most: bool = False

    @property
    def verdict(self) -> str:
        if self.found is None:
            return "not measured"
        is_met = self.found <= self.asked if self.is_most else self.found >= self.asked
        return "met" if is_met else "MISSED"


def read_tables(reports: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Cell]]]:
    """Table -> row -> column -> cell, of all reports; the tables' names are theirs."""
    found: dict[str, dict[str, dict[str, Cell]]] = {}
    for report in reports.values():
        for name, table in report["tables"].items():
            titles = [column["title"] for column in table["columns"]]
            rows = found.setdefault(name, {})
            for row in table["rows"]:
                rows[str(row[0])] = dict(zip(titles, row, strict=True))
    return found


def judge(tables: Mapping[str, Mapping[str, Mapping[str, Cell]]]) -> list[Goal]:
    """Ours is the fastest of our engines; transformers the fastest of its eager ones."""

    def document_ms(engines: Sequence[str]) -> float | None:
        rows = tables.get("detail", {})
        titles = [f"batch 1, {ENGINES['cuda'][name].title}" for name in engines]
        cells = [rows[title]["a document"] for title in titles if title in rows]
        return min((float(x) for x in cells if isinstance(x, float | int)), default=None)

    def times_dense(tokens: int) -> float | None:
        cell = tables.get("batch 1", {}).get(f"{tokens:,}", {}).get("dense flash / ours")
        return float(cell) if isinstance(cell, float | int) else None

    ours_ms = document_ms(OURS)
    return [
        Goal(name="ms per document, batch 1", asked=60, found=ours_ms, is_most=True),
        Goal(name="x transformers, batch 1", asked=8, found=ratio(document_ms(EAGER), ours_ms)),
        Goal(name="x dense flash, 4,096 tokens", asked=3, found=times_dense(4096)),
        Goal(name="x dense flash, 16,384 tokens", asked=10, found=times_dense(16384)),
    ]


def goals_table(goals: Sequence[Goal]) -> Table:
    columns = (
        Column(title="goal"),
        Column(title="asked", digits=1),
        Column(title="found", digits=1),
        Column(title="which is"),
    )
    return Table(columns=columns, rows=tuple((x.name, x.asked, x.found, x.verdict) for x in goals))


def run_stage(stage: Stage, work_dir: Path, limit_s: float) -> str:
    """What came of it; its report is written if it came to its end."""
    stage.report(work_dir).unlink(missing_ok=True)
    child = subprocess.Popen(stage.command(work_dir), start_new_session=True)
    try:
        status = child.wait(max(0.0, limit_s))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # its workers, too
        child.wait()
        return f"killed after {limit_s:.0f} s"
    return "done" if status == 0 else f"ended with exit status {status}"


def run_stages(stages: Sequence[Stage], work_dir: Path) -> dict[str, str]:
    """Stage -> what came of it; all of them end within LIMIT_S."""
    started, outcomes = time.monotonic(), {}
    for stage in stages:
        left_s = LIMIT_S - (time.monotonic() - started)
        outcomes[stage.name] = run_stage(stage, work_dir, min(stage.limit_s, left_s))
    return outcomes


def prepare(work_dir: Path) -> dict[str, str]:
    """Engine -> why it could not be prepared; transformers reads the checkpoint itself."""
    checkpoint, failed = write_checkpoint(work_dir, XSUM), {}
    for name in (*OURS, *PEERS):
        engine = ENGINES["cuda"][name]
        make = prepare_graphs if engine.target in PLAN_MODULES else prepare_engine
        try:
            make(engine, checkpoint, work_dir, SIZES)
        except CommandError as err:
            failed[name] = str(err).splitlines()[-1]
    return failed


def carried(work_dir: Path, packages: Sequence[str] = PACKAGES) -> Table:
    """What a call takes along: what was prepared, and the installed packages that it needs."""
    rows: list[tuple[Cell, ...]] = []
    for path in sorted(work_dir.glob("*-shape*")):
        if path.is_dir():
            rows.append((path.name, _megabytes(path.rglob("*"))))
    for name in packages:
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            rows.append((f"package {name}", None))
            continue
        files = (Path(str(found.locate_file(x))) for x in found.files or ())
        rows.append((f"package {name} {found.version}", _megabytes(files)))
    total = sum(float(size) for _, size in rows if isinstance(size, float))
    columns = (Column(title="carried"), Column(title="MB", digits=1))
    return Table(columns=columns, rows=(*rows, ("all", total)))


def _megabytes(paths: Any) -> float:
    return float(sum(x.stat().st_size for x in paths if x.is_file())) / 1e6


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    parser.add_argument("--prepare", action="store_true", help="make what needs no GPU, and end")
    parser.add_argument("--dry-run", action="store_true", help="say what would run, and end")
    arguments = parser.parse_args(argv)
    work_dir = arguments.work_dir.resolve()
    if arguments.prepare:
        work_dir.mkdir(parents=True, exist_ok=True)
        for name, reason in prepare(work_dir).items():
            print(f"not prepared: {name}: {reason}")
        print(carried(work_dir).text())
        return
    if arguments.dry_run:
        for stage in STAGES:
            print(f"{stage.name}, at most {stage.limit_s:.0f} s:")
            print(f"    {' '.join(stage.command(work_dir))}")
        print(f"\n{carried(work_dir).text()}")
        return
    _measure(arguments, work_dir)


def _measure(arguments: argparse.Namespace, work_dir: Path) -> None:
    """Raises: NoGpuError, WorkerError if a stage failed, once everything is written."""
    gpu = find_gpu(otherwise="; --dry-run says what it would do")
    work_dir.mkdir(parents=True, exist_ok=True)
    outcomes = run_stages(STAGES, work_dir)
    files = {x.name: x.report(work_dir) for x in STAGES if x.report(work_dir).is_file()}
    reports = {name: json.loads(path.read_text("utf-8")) for name, path in files.items()}
    goals = goals_table(judge(read_tables(reports)))
    failed = {name: said for name, said in outcomes.items() if said != "done"}
    bench.report(arguments, {"goals": goals}, missing=failed, gpu=gpu, reports=reports)
    if failed:
        raise WorkerError(f"{', '.join(failed)}: not measured to the end")


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
