"""All that the gate takes along, made on a machine without a GPU; and what it weighs.

    graphs/TARGET-CHECKPOINT-PRECISION/   the demo checkpoints' graphs; plans are built on the GPU
    cases/CHECKPOINT.json                 what transformers makes of twenty batches
    kernels.pgk                           the attention kernels, compiled for every GPU

The C++ plugin and its harness are taken along where they were built (see `plugins/README.md`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gpu.cases import write_cases
from gpu.plugin import HARNESS, LIBRARY
from gpu.setting import CASES, GRAPHS, KERNELS
from harness.table import Column, Table
from pegasus_engines.plans.build import BuildRequest
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle

__all__ = ["prepare", "sizes"]

REPOSITORY = Path(__file__).resolve().parents[2]
CHECKPOINTS = {"pegasus-mini": "articles", "bigbird-mini": "long_articles"}
"""Each with the articles that it is for."""
MOST_TOKENS = {"pegasus-mini": 512, "bigbird-mini": 1024}
"""Sparse attention begins at 353; more lengths would be more profiles to build on the GPU."""
CAPABILITIES = ("8.0", "8.6", "8.9", "9.0", "10.0", "12.0")
COUNT = 20
PLUGIN_BUILD = REPOSITORY / "build" / "plugin"


def prepare(folder: Path, precisions: Sequence[str]) -> Table:
    """What is there already stays."""
    for checkpoint, articles in CHECKPOINTS.items():
        for target in ("trt-rtx", "trt"):
            for precision in precisions:
                _export(folder, target, checkpoint, precision)
        cases = folder / CASES / f"{checkpoint}.json"
        if not cases.exists():
            texts = [x.read_text() for x in sorted((REPOSITORY / "examples" / articles).iterdir())]
            graphs = folder / GRAPHS / f"trt-rtx-{checkpoint}-fp32"
            write_cases(graphs, _checkpoint(checkpoint), cases, COUNT, texts)
    if not (folder / KERNELS).exists():
        _compile(folder / KERNELS)
    for name in (HARNESS, LIBRARY):
        if (PLUGIN_BUILD / name).exists():
            shutil.copy2(PLUGIN_BUILD / name, folder / name)
    return sizes(folder)


def sizes(folder: Path) -> Table:
    """What one call has to carry."""
    paths = [*sorted((folder / GRAPHS).glob("*")), *sorted(folder.glob("[!g]*"))]
    rows = tuple((str(x.relative_to(folder)), _bytes(x) / 2**20) for x in paths)
    total = ("all", sum(size for _, size in rows))
    return Table(
        columns=(Column(title="prepared"), Column(title="MiB", digits=1)), rows=(*rows, total)
    )


def _checkpoint(name: str) -> Path:
    return REPOSITORY / "examples" / "checkpoints" / name


def _export(folder: Path, target: str, checkpoint: str, precision: str) -> None:
    output = folder / GRAPHS / f"{target}-{checkpoint}-{precision}"
    if output.exists():
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    build = BuildRequest(compute_capabilities=CAPABILITIES if target == "trt" else None)
    plans = PlanRequest(onnx_only=True, num_beams=8, max_batch=4, max_target_tokens=64, build=build)
    export_bundle(
        ExportRequest(
            model=str(_checkpoint(checkpoint)),
            output=output,
            target=target,
            precision=precision,
            max_source_tokens=MOST_TOKENS[checkpoint],
            plans=plans,
        )
    )


def _compile(output: Path) -> None:
    """In a process of its own: this one may have Triton interpret."""
    command = [sys.executable, "-m", "pegasus_plugins.compile_kernels", "--quiet"]
    command += ["--output", str(output), "--dtype", "float32", "float16", "bfloat16"]
    command += ["--plan-columns", "0", "3"]
    subprocess.run([*command, "--capability", *CAPABILITIES], check=True)


def _bytes(path: Path) -> int:
    return sum(
        x.stat().st_size for x in (path.rglob("*") if path.is_dir() else [path]) if x.is_file()
    )
