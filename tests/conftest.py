"""Checkpoints and bundles that many tests share: an export takes seconds, so each is made once.

Libraries that take seconds to import are imported where they are used: of the processes of a run,
the one that only hands out the tests needs none of them.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slow_tests import mark_slow, sort_longest_first

if TYPE_CHECKING:
    from made_once import MadeOnce

pytest_plugins = (
    "e2e.parity.options",
    "e2e.pipelines.options",
    "examples.client_options",
    "sharp.options",
    "runtime.search.agreement_option",
    "serve.page_options",
)

ExportedBundle = Callable[..., Path]

# Each process of a run has a core for itself; so have those that it starts.
os.environ["OMP_NUM_THREADS"] = "1"
# Kernels run on the CPU by Triton's interpreter, which has to be asked for before anything imports
# Triton: transformers does. What compiles runs in a process of its own, without it.
os.environ["TRITON_INTERPRET"] = "1"
# No test asks a hub, or looks into anybody's cache: those of names have a hub of their own.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PEGASUS_EDGE_CACHE"] = "/dev/null/none"
# Tests import ONNX Runtime by themselves, too; those of what it tells others see to it themselves.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell has what it starts in the background ignore SIGINT, nohup SIGHUP, and children
    inherit that."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_slow(items)
    sort_longest_first(items)


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not go through all of it again and again.

    It took 3 to 7 % of an export, and 15 % of the first one.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:  # which runs many exports, if one that runs any
        from known_operators import ask_once
        from traced_once import trace_once

        ask_once()
        trace_once()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Checkpoints and exports that all processes of this run share; read only."""
    from made_once import MadeOnce

    base = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ  # whose folder lies in that of the run
    return MadeOnce(root=(base.parent if is_worker else base) / "made-once")


@pytest.fixture(scope="session")
def tiny_checkpoint(made_once: MadeOnce) -> Callable[[str], Path]:
    """architecture -> folder of a random checkpoint of it; read only."""
    from exporter.tiny_checkpoint import write_tiny_checkpoint

    @cache
    def write(architecture: str) -> Path:
        return made_once.folder(
            architecture, lambda folder: write_tiny_checkpoint(folder, architecture=architecture)
        )

    return lambda architecture="PegasusForConditionalGeneration": write(architecture)


@pytest.fixture(scope="session")
def tiny_bundle(made_once: MadeOnce, tiny_checkpoint: Callable[[str], Path]) -> ExportedBundle:
    """(architecture, target, precision) -> folder of its bundle; read only: copy to change it.

    Those for TensorRT are graphs, for 8 beams and batches of 4.
    """
    from pegasus_export.request.export import PlanRequest
    from pegasus_runtime.bundle import PLAN_TARGETS

    def make(
        architecture: str = "PegasusForConditionalGeneration",
        target: str = "ort",
        precision: str = "fp32",
    ) -> Path:
        plans = PlanRequest()
        if target in PLAN_TARGETS:
            plans = PlanRequest(onnx_only=True, num_beams=8, max_batch=4, max_target_tokens=48)
        result = made_once.export(
            model=str(tiny_checkpoint(architecture)),
            target=target,
            precision=precision,
            plans=plans,
        )
        return result.bundle.folder

    return make
