"""The engines that benchmarks compare: what they are called, and how their workers are started."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import ensure_peer

__all__ = ["ENGINES", "EngineUnderTest", "parse_engines", "worker_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineUnderTest:
    """One engine at one precision of the weights."""

    family: str
    precision: str

    @property
    def name(self) -> str:
        return f"{self.family}-{self.precision}"

    @property
    def is_ours(self) -> bool:
        return self.family == "pegasus-edge"


ENGINES = {
    engine.name: engine
    for engine in (
        EngineUnderTest(family="pegasus-edge", precision="fp32"),
        EngineUnderTest(family="pegasus-edge", precision="int8"),
        EngineUnderTest(family="pegasus-edge", precision="int4"),
        EngineUnderTest(family="ctranslate2", precision="fp32"),
        EngineUnderTest(family="ctranslate2", precision="int8"),
        EngineUnderTest(family="optimum", precision="fp32"),
        EngineUnderTest(family="transformers", precision="fp32"),
    )
}
WORKERS = {
    "pegasus-edge": "workers.pegasus_edge_worker",
    "ctranslate2": "workers.ctranslate2_worker",
    "optimum": "workers.optimum_worker",
    "transformers": "workers.transformers_worker",
}
CTRANSLATE2_COMPUTE_TYPES = {"fp32": "float32", "int8": "int8"}


def parse_engines(text: str) -> tuple[EngineUnderTest, ...]:
    """The engines of a comma-separated list, as a command line gives it; each once.

    Raises: argparse.ArgumentTypeError for a name that is not in `ENGINES`.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in ENGINES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"unknown engine {unknown[0]!r}" if unknown else "no engine is named"
        )
    return tuple(ENGINES[name] for name in names)


def worker_command(
    engine: EngineUnderTest, folder: Path, *, threads: int, parallel_batches: int = 1
) -> Sequence[str | Path]:
    """The command of a worker that loads ``folder``, to be run in this folder.

    threads: for each of the ``parallel_batches``, of which only CTranslate2 can run several.
    """
    python = ensure_peer("optimum").python if engine.family == "optimum" else sys.executable
    command = [python, "-m", WORKERS[engine.family], "--folder", folder, "--threads", str(threads)]
    if engine.family == "ctranslate2":
        compute_type = CTRANSLATE2_COMPUTE_TYPES[engine.precision]
        command += ["--compute-type", compute_type, "--parallel-batches", str(parallel_batches)]
    elif parallel_batches != 1:
        raise ValueError(f"{engine.name} runs one batch at a time, not {parallel_batches}")
    return command
