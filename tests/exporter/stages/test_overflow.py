"""fp16 where the residual stream is too large for it: others overflow, ours is exact.

The checkpoint is pegasus-mini with its stream 512 times as large: the same function, whose residual
exceeds 1.6e5 and whose fc2 gives 6.9e4. fp16 is emulated, with every value rounded as a GPU would.
"""

import dataclasses
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
import transformers

from exporter.overflow_checkpoint import write_overflowing
from pegasus_engines.precision.passes.emulate_half import emulate_half
from pegasus_engines.precision.passes.halve_graph import halve_graph
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.measure.documents import CalibrationDocument
from pegasus_export.measure.residual import largest_residual
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, ExportResult, export_bundle
from pegasus_export.verify.comparison import compare_bundle, make_baseline
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, Bundle
from pegasus_runtime.tokenization.tokenizer import Tokenizer
from wire_reports import HELD_OUT_SEEDS, generate_report

MINI = Path(__file__).parents[3] / "examples" / "checkpoints" / "pegasus-mini"
LARGEST_HALF = 65504
NUM_REPORTS = 20


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_overflowing(MINI, tmp_path_factory.mktemp("overflow") / "mini", factor=512)


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return [generate_report(seed).document for seed in HELD_OUT_SEEDS[:NUM_REPORTS]]


@pytest.fixture(scope="module")
def sources(documents: list[str]) -> list[list[int]]:
    tokenizer = Tokenizer.load(MINI / "spiece.model", PUBLISHED_TOKENIZERS["pegasus"])
    return [list(tokenizer.encode(text).token_ids) for text in documents]


@pytest.fixture(scope="module")
def pegasus(checkpoint: Path) -> Pegasus:
    return load_pegasus(open_checkpoint(str(checkpoint), revision=None))


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export_bundle(
        ExportRequest(
            model=str(checkpoint),
            output=tmp_path_factory.mktemp("overflow") / "fp16",
            target="trt-rtx",
            precision="fp16",
            plans=PlanRequest(onnx_only=True),
        )
    )


def test_the_residual_stream_and_fc2_exceed_fp16(
    pegasus: Pegasus, sources: list[list[int]]
) -> None:
    largest = {"fc2": 0.0}
    hooks = [
        module.register_forward_hook(
            lambda module, arguments, output: largest.update(
                fc2=max(largest["fc2"], float(output.abs().max()))
            )
        )
        for name, module in pegasus.named_modules()
        if name.endswith(".fc2")
    ]
    assert largest_residual(pegasus, sources[:4]) > 2 * LARGEST_HALF
    assert largest["fc2"] > 6e4
    for hook in hooks:
        hook.remove()


@torch.no_grad()
def test_transformers_in_fp16_gives_nan(checkpoint: Path, sources: list[list[int]]) -> None:
    load = transformers.PegasusForConditionalGeneration.from_pretrained
    half = load(checkpoint, dtype=torch.float16)
    ids = torch.tensor([sources[0]])
    states = half.get_encoder()(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    assert states.isnan().any()


def test_a_plain_fp16_export_is_not_finite(
    checkpoint: Path, sources: list[list[int]], tmp_path: Path
) -> None:
    """The same graphs, converted without the scaling."""
    fp32 = export_bundle(
        ExportRequest(
            model=str(checkpoint),
            output=tmp_path / "fp32",
            target="trt-rtx",
            plans=PlanRequest(onnx_only=True),
        )
    ).bundle
    outputs = run_encoder(fp32, sources[0], shift=None)
    assert all(np.isfinite(array).all() for array in outputs)
    outputs = run_encoder(fp32, sources[0], shift=0)
    assert not all(np.isfinite(array).all() for array in outputs)


def run_encoder(bundle: Bundle, source: list[int], *, shift: int | None) -> list[np.ndarray]:
    """The fp32 graph's outputs; with a shift of 0, after making it fp16 as it is."""
    model = ir.load(bundle.folder / "encoder.onnx")
    if shift is not None:
        for value in model.graph.initializers.values():
            tensor = value.const_value
            if isinstance(tensor, ir.ExternalTensor) and tensor.dtype == ir.DataType.FLOAT:
                half = tensor.numpy().astype(np.float16)
                assert np.isfinite(half).all()  # the weights themselves fit
                value.const_value = ir.tensor(half, name=value.name)
                value.type = ir.TensorType(ir.DataType.FLOAT16)
        halve_graph(model)
        emulate_half(model)
    path = bundle.folder / "tried.onnx"
    ir.save(model, path)
    session = onnxruntime.InferenceSession(path)
    ids = np.array([source])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    return session.run(None, feeds)


def test_our_fp16_export_is_within_rounding_of_fp32(exported: ExportResult) -> None:
    """fp16 has eleven bits: 5e-4 each time that something is rounded."""
    assert exported.bundle.manifest.recipe["residual_shift"] == 6
    for each in exported.measured:
        assert each.error < 4e-3


def test_our_fp16_export_generates_the_tokens_of_fp32(
    exported: ExportResult, pegasus: Pegasus, documents: list[str]
) -> None:
    manifest = exported.bundle.manifest
    spec = manifest.tokenizer
    assert spec is not None
    baseline = make_baseline(
        pegasus,
        Tokenizer.load(exported.bundle.path(spec.file), spec),
        [CalibrationDocument(text=text) for text in documents],
        manifest=manifest,
    )
    changes = compare_bundle(exported.bundle, baseline, with_rouge=False)
    assert dataclasses.asdict(changes) | {"tokens": 0} == {
        "documents": NUM_REPORTS,
        "documents_changed": 0,
        "tokens": 0,
        "tokens_changed": 0,
        "worst_share": 0.0,
        "changed_by_batch": 0,
        "rouge_drop": None,
    }


def test_int8_holds_such_a_stream(
    checkpoint: Path, documents: list[str], pegasus: Pegasus, tmp_path: Path
) -> None:
    exported = export_bundle(
        ExportRequest(model=str(checkpoint), output=tmp_path / "int8", precision="int8")
    )
    manifest = exported.bundle.manifest
    assert manifest.tokenizer is not None
    baseline = make_baseline(
        pegasus,
        Tokenizer.load(exported.bundle.path(manifest.tokenizer.file), manifest.tokenizer),
        [CalibrationDocument(text=text) for text in documents],
        manifest=manifest,
    )
    changes = compare_bundle(exported.bundle, baseline, with_rouge=False)
    assert changes.documents_changed == 0
    assert changes.changed_by_batch == 0
