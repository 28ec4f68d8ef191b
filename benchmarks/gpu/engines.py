"""The engines that the GPU benchmark compares: whether each can run here, and what it loads."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path

from engine_folders import prepare_engine
from engines_under_test import ENGINES as CPU_ENGINES
from gpu.gpu_machine import TARGET_MODULES
from gpu.step_bytes import Storage
from measure import measure_command

__all__ = [
    "ENGINES",
    "REFERENCE",
    "GpuEngine",
    "PlanSizes",
    "parse_engines",
    "prepare_folder",
    "why_missing",
    "worker_command",
]

TIME_ALIGNMENT = 8  # tokens; what tensor cores read at once
FP16, FP32 = Storage(), Storage(linear=4, head=4, cache=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuEngine:
    """One engine at one precision.

    compute_type: what its worker takes by that name. target: of pegasus-export, for ours.
    """

    family: str
    precision: str
    compute_type: str
    target: str | None = None
    storage: Storage = FP16

    @property
    def name(self) -> str:
        parts = (self.family, self.target, self.precision)
        return "-".join(part for part in parts if part)

    @property
    def is_ours(self) -> bool:
        return self.family == "pegasus-edge"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSizes:
    """What our plans are built for."""

    max_batch: int
    beams: int
    new_tokens: int

    @property
    def max_target_tokens(self) -> int:
        """The start token, and the new ones, in whole pieces of eight."""
        length = 1 + self.new_tokens
        return length + -length % TIME_ALIGNMENT


def _ours(target: str, precision: str, storage: Storage) -> GpuEngine:
    return GpuEngine(
        family="pegasus-edge",
        target=target,
        precision=precision,
        compute_type="cuda" if target == "ort" else "tensorrt",
        storage=storage,
    )


REFERENCE = GpuEngine(family="transformers", precision="fp32", compute_type="float32", storage=FP32)
"""Whose tokens the others are compared with."""
ENGINES = {
    engine.name: engine
    for engine in (
        _ours("trt-rtx", "fp16", FP16),
        _ours("trt-rtx", "int8", replace(FP16, linear=1)),
        _ours("trt", "fp16", FP16),
        _ours("trt", "int8", replace(FP16, linear=1)),
        _ours("ort", "fp16", FP16),
        GpuEngine(family="transformers", precision="fp16", compute_type="float16"),
        GpuEngine(family="transformers", precision="bf16", compute_type="bfloat16"),
        GpuEngine(family="transformers", precision="fp16-compiled", compute_type="float16+compile"),
        GpuEngine(family="ctranslate2", precision="float16", compute_type="float16"),
        GpuEngine(
            family="ctranslate2",
            precision="int8_float16",
            compute_type="int8_float16",
            storage=replace(FP16, linear=1, head=1),
        ),
        REFERENCE,
    )
}


def parse_engines(text: str) -> tuple[GpuEngine, ...]:
    """The engines of a comma-separated list, each once; for argparse."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in ENGINES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"unknown engine {unknown[0]!r}" if unknown else "no engine is named"
        )
    return tuple(ENGINES[name] for name in names)


def why_missing(engine: GpuEngine) -> str | None:
    """Why the engine cannot run here, as far as can be said without loading it; None if it can."""
    if engine.target in TARGET_MODULES:
        module = TARGET_MODULES[engine.target]
        if util.find_spec(module) is None:
            extra = "rtx" if engine.target == "trt-rtx" else "trt"
            return f"{module} is not installed: pip install 'pegasus-edge[{extra}]'"
        return None
    return _CHECKS[engine.family]()


def prepare_folder(
    engine: GpuEngine, checkpoint: Path, work_dir: Path, sizes: PlanSizes, *, reuse: bool
) -> Path:
    """The folder that the engine's worker loads.

    reuse: takes what an earlier run exported. Raises: CommandError.
    """
    if engine.family == "transformers":
        return checkpoint
    if engine.family == "ctranslate2":
        return prepare_engine(CPU_ENGINES["ctranslate2-fp32"], checkpoint, work_dir)
    folder = work_dir / f"{checkpoint.name}-for-gpu-{engine.target}-{engine.precision}"
    if reuse and (folder / "manifest.json").is_file():
        return folder
    print(f"preparing {engine.name} …", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    log = work_dir / "logs" / f"prepare-{engine.name}.log"
    measure_command(export_command(engine, checkpoint, folder, sizes), log=log)
    return folder


def export_command(
    engine: GpuEngine, checkpoint: Path, output: Path, sizes: PlanSizes
) -> list[str | Path]:
    """Of ours: plans for the GPU that is here, and for just the sizes that are measured."""
    assert engine.target is not None
    cli = Path(sys.executable).with_name("pegasus-export")
    command: list[str | Path] = [cli, "--model", checkpoint, "--output", output, "--quiet"]
    command += ["--target", engine.target, "--precision", engine.precision]
    if engine.target in TARGET_MODULES:
        command += ["--compute-capability", "current", "--num-beams", str(sizes.beams)]
        command += ["--max-batch", str(sizes.max_batch)]
        command += ["--max-target-tokens", str(sizes.max_target_tokens)]
    return command


def worker_command(engine: GpuEngine, folder: Path) -> Sequence[str | Path]:
    """The command of a worker that loads ``folder``, to be run in the folder benchmarks."""
    module = f"gpu.workers.{engine.family.replace('-', '_')}_worker"
    command: list[str | Path] = [sys.executable, "-m", module, "--folder", folder.resolve()]
    return [*command, "--compute-type", engine.compute_type]


def _why_no_onnxruntime() -> str | None:
    if util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed: pip install 'pegasus-edge[gpu]'"
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return None
    return "the installed onnxruntime has no CUDA: pip install 'pegasus-edge[gpu]' in its place"


def _why_no_torch() -> str | None:
    for module in ("torch", "transformers"):
        if util.find_spec(module) is None:
            return f"{module} is not installed: pip install 'pegasus-edge[bench]' torch"
    import torch

    if torch.cuda.is_available():
        return None
    return f"the installed torch {torch.__version__} finds no CUDA GPU: install a build for CUDA"


def _why_no_ctranslate2() -> str | None:
    if util.find_spec("ctranslate2") is None:
        return "ctranslate2 is not installed: pip install 'pegasus-edge[bench]'"
    import ctranslate2

    if ctranslate2.get_cuda_device_count():
        return None
    return "the installed ctranslate2 finds no CUDA GPU: its wheels for aarch64 are for the CPU"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "pegasus-edge": _why_no_onnxruntime,
    "transformers": _why_no_torch,
    "ctranslate2": _why_no_ctranslate2,
}
