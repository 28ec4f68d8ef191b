"""Checkpoints and bundles that many tests share: an export takes seconds, so each is made once."""

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime.bundle import PLAN_TARGETS

pytest_plugins = ("e2e.parity.options",)

ExportedBundle = Callable[..., Path]

# Kernels run on the CPU by Triton's interpreter, which has to be asked for before anything imports
# Triton: transformers does. What compiles runs in a process of its own, without it.
os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """A shell has what it starts in the background ignore SIGINT, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """architecture -> folder of a random checkpoint of it; read only."""

    @cache
    def write(architecture: str) -> Path:
        folder = tmp_path_factory.mktemp("checkpoints") / architecture
        return write_tiny_checkpoint(folder, architecture=architecture)

    return lambda architecture="PegasusForConditionalGeneration": write(architecture)


@pytest.fixture(scope="session")
def tiny_bundle(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Callable[[str], Path]
) -> ExportedBundle:
    """(architecture, target, precision) -> folder of its bundle; read only: copy to change it.

    Those for TensorRT are graphs, for 8 beams and batches of 4.
    """

    @cache
    def export(architecture: str, target: str, precision: str) -> Path:
        output = tmp_path_factory.mktemp("bundles") / f"{architecture}-{target}-{precision}"
        model = str(tiny_checkpoint(architecture))
        plans = PlanRequest()
        if target in PLAN_TARGETS:
            plans = PlanRequest(onnx_only=True, num_beams=8, max_batch=4, max_target_tokens=48)
        request = ExportRequest(
            model=model, output=output, target=target, precision=precision, plans=plans
        )
        export_bundle(request)
        return output

    def make(
        architecture: str = "PegasusForConditionalGeneration",
        target: str = "ort",
        precision: str = "fp32",
    ) -> Path:
        return export(architecture, target, precision)

    return make
