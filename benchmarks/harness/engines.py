"""The engines that benchmarks compare: what they are called, and how their workers are started."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness.protocol import WorkerSettings
from harness.step_bytes import Storage
from peers import ensure_peer

WORKERS = {
    "pegasus-edge": "harness.workers.pegasus_edge_worker",
    "ctranslate2": "harness.workers.ctranslate2_worker",
    "openvino": "harness.workers.openvino_worker",
    "optimum": "harness.workers.hugging_face_worker",
    "transformers": "harness.workers.hugging_face_worker",
}
TITLES = {"ctranslate2": "CTranslate2", "openvino": "OpenVINO", "optimum": "Optimum"}
BATCHED = ("pegasus-edge", "ctranslate2", "openvino")
"""Families that eight documents do not take minutes; others are given one, on CPUs."""
WITH_VENVS = ("openvino", "optimum")
"""Families that run in an environment of their own; see peers.py."""
PLAN_MODULES = {"trt-rtx": "tensorrt_rtx", "trt": "tensorrt"}
"""Targets whose bundles hold plans -> the module that runs them."""
FP16, FP32 = Storage(), Storage(linear=4, head=4, source=4, cache=4)
INT8, INT4 = replace(FP32, linear=1, head=1), replace(FP32, linear=0.625, head=1)
GPU_INT8 = replace(FP16, linear=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine at one precision of the weights.

    compute_type: what its worker takes by that name. target: of pegasus-export, for ours.
    """

    family: str
    precision: str
    compute_type: str
    device: str = "cpu"
    target: str | None = None
    storage: Storage | None = FP32
    """None where the engine chooses it as it runs."""
    variant: str = ""
    """What else tells it from others in the same table."""
    model: str = ""
    """The name of the engine whose folder it loads, where that is not its own."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of its worker."""

    @property
    def name(self) -> str:
        parts = (self.family, self._told_target, self.precision, self.variant.replace(" ", "-"))
        return "-".join(part for part in parts if part)

    @property
    def title(self) -> str:
        """As tables have it."""
        family = TITLES.get(self.family, self.family)
        name = " ".join(part for part in (family, self._told_target, self.precision) if part)
        return f"{name}, {self.variant}" if self.variant else name

    @property
    def _told_target(self) -> str | None:
        return self.target if self.device == "cuda" else None

    @property
    def kind(self) -> str:
        """Of numbers that the weights are stored in: engines of the same are compared."""
        if self.precision.startswith(("int8", "int4", "fp32")):
            return self.precision[:4]
        return "fp16"

    @property
    def is_ours(self) -> bool:
        return self.family == "pegasus-edge"


def _engine(device: str, family: str, precision: str, how: str, storage: Storage | None) -> Engine:
    """how: the target of ours, or the compute type of a peer."""
    is_ours = family == "pegasus-edge"
    provider = "cpu" if device == "cpu" else "cuda" if how == "ort" else "tensorrt"
    return Engine(
        family=family,
        precision=precision,
        compute_type=provider if is_ours else how,
        device=device,
        target=how if is_ours else None,
        storage=storage,
    )


def _with_stock_operators(engine: Engine) -> Engine:
    """Ours without kernels of its own, of the same bundle."""
    return replace(
        engine,
        variant="stock operators",
        model=engine.name,
        environment={"PEGASUS_EDGE_KERNELS": "0"},
    )


_KNOWN = (
    _engine("cpu", "pegasus-edge", "int8", "ort", INT8),
    _with_stock_operators(_engine("cpu", "pegasus-edge", "int8", "ort", INT8)),
    _engine("cpu", "ctranslate2", "int8", "int8", INT8),
    _engine("cpu", "pegasus-edge", "fp32", "ort", FP32),
    _engine("cpu", "ctranslate2", "fp32", "float32", FP32),
    _engine("cpu", "openvino", "int8", "auto", None),
    _engine("cpu", "openvino", "fp32", "f32", None),
    _engine("cpu", "optimum", "fp32", "onnxruntime", FP32),
    _engine("cpu", "transformers", "fp32", "float32", FP32),
    _engine("cpu", "pegasus-edge", "int4", "ort", INT4),
    _engine("cuda", "pegasus-edge", "fp16", "trt-rtx", FP16),
    _engine("cuda", "pegasus-edge", "int8", "trt-rtx", GPU_INT8),
    _engine("cuda", "pegasus-edge", "fp16", "trt", FP16),
    _engine("cuda", "pegasus-edge", "int8", "trt", GPU_INT8),
    _engine("cuda", "pegasus-edge", "fp16", "ort", FP16),
    _engine("cuda", "transformers", "fp16", "float16", FP16),
    _engine("cuda", "transformers", "bf16", "bfloat16", FP16),
    _engine("cuda", "transformers", "fp16-compiled", "float16+compile", FP16),
    _engine("cuda", "ctranslate2", "float16", "float16", FP16),
    _engine("cuda", "ctranslate2", "int8_float16", "int8_float16", replace(GPU_INT8, head=1)),
    _engine("cuda", "transformers", "fp32", "float32", FP32),
)
ENGINES = {
    device: {engine.name: engine for engine in _KNOWN if engine.device == device}
    for device in ("cpu", "cuda")
}
"""device -> name -> engine."""
USUAL_ON_CPU = ",".join(name for name in ENGINES["cpu"] if name != "pegasus-edge-int4")
"""What is compared unless a command line says otherwise."""


def find_engines(text: str, known: Mapping[str, Engine]) -> tuple[Engine, ...]:
    """The engines of a comma-separated list, as a command line gives it; each once.

    Raises: argparse.ArgumentTypeError for a name that is not known.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"unknown engine {unknown[0]!r}" if unknown else "no engine is named"
        raise argparse.ArgumentTypeError(f"{what}: there are {', '.join(known)}")
    return tuple(known[name] for name in names)


def worker_command(
    engine: Engine,
    folder: Path,
    *,
    threads: int = 0,
    parallel_batches: int = 1,
    encoder_only: bool = False,
) -> Sequence[str | Path]:
    """The command of a worker that loads ``folder``, to be run in the folder benchmarks.

    threads: for each of the ``parallel_batches``, of which only CTranslate2 can run several.
    """
    if parallel_batches != 1 and engine.family != "ctranslate2":
        raise ValueError(f"{engine.name} runs one batch at a time, not {parallel_batches}")
    is_apart = engine.family in WITH_VENVS
    python = ensure_peer(engine.family).python if is_apart else sys.executable
    settings = WorkerSettings(
        folder=str(folder.resolve()),
        threads=threads,
        compute_type=engine.compute_type,
        device=engine.device,
        parallel_batches=parallel_batches,
        encoder_only=encoder_only,
    )
    return [python, "-m", WORKERS[engine.family], json.dumps(asdict(settings))]
