"""A bundle of plans, and stand-ins for TensorRT and CUDA to run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gpu_stand_ins.cuda import FakeCuda
from gpu_stand_ins.tensorrt import (
    DataType,
    FakeEngine,
    FakeTensor,
    FakeTensorRT,
)
from pegasus_runtime.bundle import (
    Architecture,
    Bundle,
    FileRecord,
    GraphSpec,
    Limits,
    Manifest,
    PlanSpec,
    Source,
    Target,
    TensorSpec,
    TokenIds,
)
from pegasus_runtime.sessions.cuda.device import CudaDevice
from pegasus_runtime.sessions.device.protocol import PreparedRun, View
from pegasus_runtime.sessions.tensorrt.plans import load_plans

PLANS = {"encoder": b"plan of the encoder", "decoder_step": b"plan of the decoder"}
RANGES = (((1, 4), (1, 4), (2, 4)), ((3, 4), (4, 4), (8, 4)))


def tensors(**changes: FakeTensor) -> dict[str, FakeTensor]:
    return {
        "x": FakeTensor("INPUT", DataType.FLOAT, (-1, 4), RANGES),
        "n": FakeTensor("INPUT", DataType.INT64, (1,)),
        "y": FakeTensor("OUTPUT", DataType.FLOAT, (-1, 4)),
        **changes,
    }


def make_bundle(folder: Path, target: Target) -> Bundle:
    spec = {
        name: GraphSpec(
            file=f"{name}.plan",
            inputs=(
                TensorSpec(name="x", dtype="float32", shape=("batch", 4)),
                TensorSpec(name="n", dtype="int64", shape=(1,)),
            ),
            outputs=(TensorSpec(name="y", dtype="float32", shape=("batch", 4)),),
        )
        for name in PLANS
    }
    for name, plan in PLANS.items():
        (folder / f"{name}.plan").write_bytes(plan)
    manifest = Manifest(
        task="summarization",
        target=target,
        precision="fp16",
        architecture=Architecture(
            model_type="pegasus",
            architecture="PegasusForConditionalGeneration",
            vocab_size=96,
            d_model=8,
            encoder_layers=1,
            decoder_layers=1,
            encoder_heads=1,
            decoder_heads=1,
            head_dim=8,
        ),
        graphs=spec,
        tokenizer=None,
        token_ids=TokenIds(pad_token_id=0, eos_token_ids=(1,), decoder_start_token_id=0),
        limits=Limits(max_source_tokens=64, max_target_tokens=16, max_beams=2),
        source=Source(name="tiny", sha256="0" * 64),
        plans=PlanSpec(
            num_beams=2,
            profiles={name: ({"batch": (1, 1, 2)}, {"batch": (3, 4, 8)}) for name in PLANS},
            version="1.7.1.116" if target == "trt-rtx" else "10.3.0",
            compute_capabilities=("8.6", "8.9"),
        ),
        files={
            f"{name}.plan": FileRecord(bytes=len(p), sha256="0" * 64) for name, p in PLANS.items()
        },
    )
    return Bundle(folder=folder, manifest=manifest)


class Setting:
    """A bundle, and stand-ins for all that it needs."""

    def __init__(self, folder: Path, target: Target, *, gpus: int = 1) -> None:
        self.cuda = FakeCuda(gpus=gpus)
        self.device = CudaDevice(runtime=self.cuda)
        self.library = FakeTensorRT(self.cuda, is_rtx=target == "trt-rtx")
        self.bundle = make_bundle(folder, target)
        self.encoder = self.add("encoder", scratch_bytes=(512, 1024))
        self.decoder = self.add("decoder_step", scratch_bytes=(2048, 256))

    def add(self, name: str, **facts: Any) -> FakeEngine:
        known = {"tensors": tensors(), "scratch_bytes": (512, 512)}
        return self.library.add_engine(PLANS[name], **{**known, **facts})

    def load(self, **options: Any) -> dict[str, Any]:
        return dict(load_plans(self.bundle, self.device, library=self.library, **options))

    def with_plans(self, **changes: Any) -> None:
        plans = self.bundle.manifest.plans
        assert plans is not None
        manifest = replace(self.bundle.manifest, plans=replace(plans, **changes))
        self.bundle = replace(self.bundle, manifest=manifest)

    def views(self, batch: int = 2) -> dict[str, View]:
        def view(shape: tuple[int, ...], dtype: str) -> View:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            return View(buffer=self.device.allocate(size), shape=shape, dtype=np.dtype(dtype))

        return {
            "x": view((batch, 4), "float32"),
            "n": view((1,), "int64"),
            "y": view((batch, 4), "float32"),
        }

    def doubles(self, run: PreparedRun, views: dict[str, View], number: float = 1) -> None:
        """Asserts that a run gives twice what it is given."""
        array = np.full(views["x"].shape, number, np.float32)
        self.device.upload(array, views["x"])
        run.run()
        np.testing.assert_array_equal(self.device.download(views["y"]), 2 * array)
