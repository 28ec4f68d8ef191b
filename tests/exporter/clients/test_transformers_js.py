"""The folder that transformers.js loads: what its loader looks for, and nothing lost on the way."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from made_once import MadeOnce
from pegasus_export.clients.transformers_js import _write_settings
from pegasus_export.command.report import print_tables, write_report
from pegasus_export.errors import UnsupportedError
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.export import ExportResult, export_bundle
from pegasus_export.verify.onnx_engine import OnnxEngine
from pegasus_runtime.bundle import check_graph_weights, open_bundle

MINI = Path(__file__).parents[3] / "examples" / "checkpoints" / "pegasus-mini"


@pytest.fixture(scope="module")
def exported(made_once: MadeOnce) -> ExportResult:
    return made_once.export(model=str(MINI), target="onnx", layout="transformers-js")


def _read(folder: Path, name: str) -> dict[str, object]:
    return json.loads((folder / name).read_text())


def test_files_are_where_the_loader_looks_for_them(exported: ExportResult) -> None:
    folder = exported.bundle.folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    graphs = {"encoder_model", "decoder_model_merged"}
    expected = {f"onnx/{name}{suffix}.onnx" for name in graphs for suffix in SUFFIXES}
    expected |= {f"onnx/{name}{suffix}.onnx_data" for name in graphs for suffix in SUFFIXES[:2]}
    expected |= {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    expected |= {"special_tokens_map.json"}
    expected |= {"README.md", "contract.md", "test_vectors.json", "manifest.json", "spiece.model"}
    assert found == expected
    bundle = open_bundle(folder, check_hashes=True)
    assert bundle == exported.bundle
    for name in bundle.manifest.graphs:
        check_graph_weights(bundle, name)


SUFFIXES = ("", "_quantized", "_int8")


def test_settings_are_those_that_the_loader_reads(exported: ExportResult) -> None:
    folder = exported.bundle.folder
    config = _read(folder, "config.json")
    assert (config["model_type"], config["is_encoder_decoder"]) == ("bart", True)
    assert (config["decoder_layers"], config["decoder_attention_heads"]) == (2, 6)
    sizes = config["transformers.js_config"]["use_external_data_format"]  # type: ignore[index]
    assert sizes == {
        f"{name}{suffix}.onnx": 1
        for name in ("encoder_model", "decoder_model_merged")
        for suffix in ("", "_quantized")
    }
    generation = _read(folder, "generation_config.json")
    assert (generation["num_beams"], generation["decoder_start_token_id"]) == (1, 0)
    assert (generation["max_length"], generation["eos_token_id"]) == (64, 1)
    tokenizer = _read(folder, "tokenizer_config.json")
    assert tokenizer["clean_up_tokenization_spaces"] is False
    assert (tokenizer["pad_token"], tokenizer["model_max_length"]) == ("<pad>", 512)
    assert any("num_beams of generation_config.json is 1" in note for note in exported.notes)


def test_each_graph_has_its_own_weights_once(exported: ExportResult) -> None:
    for spec in exported.bundle.manifest.graphs.values():
        path = exported.bundle.folder / spec.file
        tensors = [
            value.const_value
            for value in ir.load(path).graph.initializers.values()
            if isinstance(value.const_value, ir.ExternalTensor)
        ]
        assert {tensor.location for tensor in tensors} == {f"{path.name}_data"}
        assert len({tensor.offset for tensor in tensors}) == len(tensors)


def test_what_int8_costs_is_told(exported: ExportResult) -> None:
    manifest = exported.bundle.manifest
    assert manifest.precision == "fp32"
    assert "int8 weights" in str(manifest.recipe["int8"])
    quantized = {"encoder_model_quantized", "decoder_model_merged_quantized"}
    assert manifest.graphs.keys() == quantized | {"encoder_model", "decoder_model_merged"}
    assert {each.graph for each in exported.measured} == manifest.graphs.keys()
    assert manifest.verification.keys() - manifest.graphs.keys() == {"summaries", "worst_layers"}
    assert exported.changes is not None
    assert exported.changes.tokens_changed / exported.changes.tokens < 0.1
    for each in exported.measured:
        assert (each.error > 1e-3) == (each.graph in quantized)


def test_the_report_tells_of_int8(
    exported: ExportResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported.changes is not None
    write_report(exported, tmp_path / "report")
    assert "int8" in (tmp_path / "report" / "layers.svg").read_text()
    changes = dataclasses.replace(exported.changes, tokens=100, tokens_changed=30)
    manifest = exported.bundle.manifest
    kept = {"int8": {"kept_fp32": ["model.shared"]}}
    told = dataclasses.replace(manifest, recipe=kept)
    bundle = dataclasses.replace(exported.bundle, manifest=told)
    print_tables(dataclasses.replace(exported, bundle=bundle, changes=changes), tmp_path)
    shown = capsys.readouterr().out
    assert "not fit to use as it is, int8 changes 30% of the tokens" in shown
    assert "layers in fp32: model.shared" in shown


def test_int8_is_in_operators_of_onnx_and_its_caches_are_those_of_fp32(
    exported: ExportResult,
) -> None:
    bundle = exported.bundle
    for name in ("encoder_model_quantized", "decoder_model_merged_quantized"):
        model = ir.load(bundle.path(bundle.manifest.graphs[name].file))
        nodes = list(model.graph.all_nodes())
        assert dict(model.opset_imports) == {"": 18}
        assert {node.domain for node in nodes} == {""}
        assert "MatMulInteger" in {node.op_type for node in nodes}
    caches = []
    for suffix in ("", "_quantized"):
        decoding = OnnxEngine(bundle, suffix=suffix).start(
            [[130, 175, 437, 1]], rows_per_document=1, max_length=4
        )
        decoding.step(np.array([0]), None, num_candidates=1, full=False)
        caches.append(decoding.arrays)
    for name, value in caches[0].items():
        got = np.asarray(caches[1][name], np.float64)
        error = np.linalg.norm(got - value) / np.linalg.norm(value)
        assert error < 0.1, name


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layout": "transformerjs"}, "expected optimum or transformers-js: did you mean transf"),
        ({"layout": "optimum", "target": "ort"}, "--layout is for target onnx, this one is ort: "),
    ],
)
def test_a_layout_that_there_is_not_is_refused(options: dict[str, str], match: str) -> None:
    with pytest.raises(UnsupportedError, match=match):
        ExportRequest(model="m", output=Path("o"), **{"target": "onnx", **options})  # type: ignore[arg-type]


def test_tasks_without_summaries_have_no_such_layout(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    request = ExportRequest(
        model=str(tiny_checkpoint("PegasusModel")),
        output=tmp_path / "b",
        target="onnx",
        layout="transformers-js",
    )
    with pytest.raises(UnsupportedError, match="is for summarization, not for feature-extraction"):
        export_bundle(request)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("stated", "longest"), [(None, 96), (64, 64), (512, 96), (1e30, 96)])
def test_texts_are_cut_to_what_the_graphs_take(
    stated: float | None, longest: int, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    manifest = open_bundle(tiny_bundle("PegasusForConditionalGeneration", "onnx")).manifest
    if stated is not None:
        settings = json.dumps({"model_max_length": stated})
        (tmp_path / "tokenizer_config.json").write_text(settings)
    _write_settings(tmp_path, manifest, [])
    assert _read(tmp_path, "tokenizer_config.json")["model_max_length"] == longest
