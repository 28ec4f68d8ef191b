"""Exports of integers for TensorRT: calibration, what is reported, what goes back to fp16."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from exporter.tiny_checkpoint import tiny_sentences, write_tiny_checkpoint
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import CalibrationError, VerificationError
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, ExportResult, export_bundle

TEXTS = [" ".join(tiny_sentences()[i : i + 4]) for i in range(0, 32, 4)]
SOURCES, SUMMARIES = [[110, 120, 130, 1], [140, 150, 1]], [(120, 130, 1), (150, 1)]
ExportTiny = Callable[..., ExportResult]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough for one group of int4 weights, but in what fc2 reads."""
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    return write_tiny_checkpoint(folder, d_model=64, encoder_ffn_dim=96, decoder_ffn_dim=96)


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "texts.jsonl"
    path.write_text("".join(json.dumps({"document": text}) + "\n" for text in TEXTS))
    return path


@pytest.fixture
def export(tmp_path: Path, checkpoint: Path) -> ExportTiny:
    def make(target: str, precision: str, **options: object) -> ExportResult:
        return export_bundle(
            ExportRequest(
                model=str(checkpoint),
                output=tmp_path / "b",
                target=target,
                precision=precision,
                plans=PlanRequest(max_batch=4, onnx_only=True),
                **options,  # type: ignore[arg-type]
            )
        )

    return make


def operators(result: ExportResult, graph: str) -> list[str]:
    model = onnx.load(result.bundle.path(f"{graph}.onnx"), load_external_data=False)
    return [node.op_type for node in model.graph.node]


def test_8_bit_activations_need_documents(export: ExportTiny, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"^8-bit activations are measured on documents, an"):
        export("trt", "int8")
    assert not (tmp_path / "b").exists()


def test_int8_of_trt_rounds_what_linear_layers_read(
    export: ExportTiny, calibration: Path, checkpoint: Path
) -> None:
    result = export("trt", "int8", calibration=calibration)
    assert result.changes is not None
    assert result.changes.documents == len(TEXTS)
    assert all(1e-3 < each.error < 0.2 for each in result.measured)
    assert "from calibration" in str(result.bundle.manifest.recipe["linear"])
    # what q, k and v read, what the cross projections of all layers do, and out_proj, fc1, fc2
    config = open_checkpoint(str(checkpoint)).config
    rounded = operators(result, "encoder").count("QuantizeLinear")
    assert rounded == 4 * config.encoder_layers + 1
    onnx.checker.check_model(str(result.bundle.path("decoder_step.onnx")), full_check=True)


def test_weights_alone_need_no_documents(export: ExportTiny) -> None:
    result = export("trt-rtx", "int4")
    assert "activations fp16" in str(result.bundle.manifest.recipe["linear"])
    for graph in ("encoder", "decoder_step"):
        assert "QuantizeLinear" not in operators(result, graph)
        assert "DequantizeLinear" in operators(result, graph)
        onnx.checker.check_model(str(result.bundle.path(f"{graph}.onnx")), full_check=True)


def test_layers_that_are_named_stay_fp16(export: ExportTiny) -> None:
    result = export("trt", "int4", keep_fp32=("*",))
    assert "DequantizeLinear" not in operators(result, "encoder")
    assert all(each.error < 0.05 for each in result.measured)
    assert len(result.bundle.manifest.recipe["kept_fp16"]) > 10  # type: ignore[arg-type]


def test_the_worst_layers_return_to_fp16_until_rouge_holds(
    export: ExportTiny, calibration: Path
) -> None:
    try:
        result = export("trt-rtx", "int4", calibration=calibration, max_rouge_drop=0.0)
    except VerificationError as err:  # fp16 itself may decide otherwise, in a random network
        assert "even with every layer in fp16" in str(err)  # noqa: PT017
        return
    assert result.changes is not None
    assert result.changes.rouge_drop == 0
    assert len(result.bundle.manifest.recipe["kept_fp16"]) >= 1  # type: ignore[arg-type]
