"""Exports of lower precision: what they store, report, and give back to fp32."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from exporter.tiny_checkpoint import tiny_sentences, write_tiny_checkpoint
from made_once import MadeOnce
from pegasus_engines.precision.recipe import PrecisionRecipe, find_layers
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.command.main import main
from pegasus_export.errors import CalibrationError, UnsupportedError
from pegasus_export.measure.documents import CalibrationDocument
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages import restore_layers as restore_layers_module
from pegasus_export.stages.export import ExportRequest, ExportResult, export_bundle
from pegasus_export.stages.restore_layers import LAYER_LIMITS
from pegasus_export.verify.comparison import Baseline, compare_bundle, make_baseline
from pegasus_runtime import FeatureExtractor, GenerationOptions, Summarizer, TextGenerator
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, open_bundle
from pegasus_runtime.tokenization.tokenizer import Tokenizer

TinyCheckpoint = Callable[..., Path]
TinyBundle = Callable[..., Path]
DOCUMENTS = [CalibrationDocument(text=" ".join(tiny_sentences()[i : i + 4])) for i in (0, 4)]


@pytest.fixture
def exported(made_once: MadeOnce, tiny_checkpoint: TinyCheckpoint) -> Callable[[str], ExportResult]:
    return lambda precision: made_once.export(model=str(tiny_checkpoint()), precision=precision)


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_the_manifest_names_the_recipe_and_what_it_cost(
    exported: Callable[[str], ExportResult], precision: str
) -> None:
    result = exported(precision)
    manifest = open_bundle(result.bundle.folder, check_hashes=True).manifest
    assert manifest.precision == precision
    assert str(manifest.recipe["linear"]).startswith(f"{precision} weights")
    assert manifest.recipe["kept_fp32"] == []
    assert set(manifest.verification) == {"encoder", "decoder_step", "summaries", "worst_layers"}
    assert int(str(manifest.recipe["equalised_channels"])) >= 0
    assert result.changes is not None
    assert manifest.verification["summaries"] == dataclasses.asdict(result.changes)
    assert result.changes.documents == 2
    assert result.changes.changed_by_batch == 0
    assert set(result.layer_errors) == set(result.layer_formats)
    shown = manifest.verification["worst_layers"]
    assert shown == dict(list(result.layer_errors.items())[:8])
    for each in result.measured:
        assert 1e-4 < each.error < each.tolerance


def test_fewer_bits_err_more(exported: Callable[[str], ExportResult]) -> None:
    int8, int4 = (exported(precision).measured[0].error for precision in ("int8", "int4"))
    assert int8 < int4 / 2


@pytest.mark.parametrize("architecture", ["PegasusModel", "PegasusForCausalLM"])
def test_other_tasks_have_lower_precisions_too(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, architecture: str
) -> None:
    """And run in them."""
    result = export_bundle(
        ExportRequest(
            model=str(tiny_checkpoint(architecture)), output=tmp_path / "b", precision="int8"
        )
    )
    assert result.changes is None
    assert all(each.error > 1e-4 for each in result.measured)
    text = tiny_sentences()[0]
    if architecture == "PegasusModel":
        with FeatureExtractor.load(tmp_path / "b", threads=1) as extractor:
            assert np.isfinite(extractor.extract(text).last_hidden_state).all()
    else:
        with TextGenerator.load(tmp_path / "b", threads=1) as generator:
            found = generator.generate([text, text[:9]], GenerationOptions(max_new_tokens=4))
        assert all(0 < len(each.token_ids) <= 4 for each in found)


def _baseline(checkpoint_folder: Path, bundle_folder: Path) -> tuple[Pegasus, Baseline]:
    checkpoint = open_checkpoint(str(checkpoint_folder))
    pegasus = load_pegasus(checkpoint)
    assert checkpoint.spiece is not None
    tokenizer = Tokenizer.load(checkpoint.spiece, PUBLISHED_TOKENIZERS["pegasus"])
    manifest = open_bundle(bundle_folder).manifest
    return pegasus, make_baseline(pegasus, tokenizer, DOCUMENTS, manifest=manifest)


def test_the_torch_engine_writes_what_the_fp32_bundle_writes(
    tiny_checkpoint: TinyCheckpoint, tiny_bundle: TinyBundle
) -> None:
    _, baseline = _baseline(tiny_checkpoint(), tiny_bundle())
    changes = compare_bundle(open_bundle(tiny_bundle()), baseline, with_rouge=True)
    assert (changes.documents, changes.tokens_changed, changes.rouge_drop) == (2, 0, 0.0)
    assert changes.tokens > 4


def test_layers_that_are_named_stay_fp32(tmp_path: Path, tiny_checkpoint: TinyCheckpoint) -> None:
    result = export_bundle(
        ExportRequest(
            model=str(tiny_checkpoint()),
            output=tmp_path / "b",
            precision="int8",
            keep_fp32=("*",),
        )
    )
    assert all(each.error < 1e-4 for each in result.measured)
    assert result.changes is not None
    assert result.changes.tokens_changed == 0


def test_the_worst_layers_get_more_bits_until_rouge_holds(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration = tmp_path / "calibration.jsonl"
    texts = [" ".join(tiny_sentences()[i : i + 4]) for i in range(0, 32, 4)]
    calibration.write_text("".join(json.dumps({"document": text}) + "\n" for text in texts))
    options = ["--model", str(tiny_checkpoint()), "--output", str(tmp_path / "b")]
    options += ["--precision", "int4", "--calibration", str(calibration)]
    assert main([*options, "--max-rouge-drop", "0"]) == 0
    shown = capsys.readouterr().out
    manifest = open_bundle(tmp_path / "b").manifest
    summaries, raised = manifest.verification["summaries"], manifest.recipe["raised_int8"]
    assert isinstance(summaries, dict)
    assert isinstance(raised, list)
    assert summaries["rouge_drop"] == 0
    assert summaries["documents"] == 8
    assert len(raised) >= 1
    assert f"layers in int8: {', '.join(map(str, raised))}" in shown
    assert "ROUGE-L: 0.00 points below fp32" in shown
    assert "tokens changed" in shown


def test_options_of_lower_precisions_are_refused_where_they_mean_nothing(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    def export(model: Path, **options: object) -> None:
        export_bundle(
            ExportRequest(model=str(model), output=tmp_path / "b", precision="int8", **options)  # type: ignore[arg-type]
        )

    with pytest.raises(UnsupportedError, match=r"^--keep-fp32: no layer is called 'x', expected"):
        export(tiny_checkpoint(), keep_fp32=("x",))
    with pytest.raises(UnsupportedError, match="which text-generation does not write"):
        export(tiny_checkpoint("PegasusForCausalLM"), max_rouge_drop=1.0)
    with pytest.raises(UnsupportedError, match=r"^--max-rouge-drop is -1, expected points of"):
        export(tiny_checkpoint(), max_rouge_drop=-1.0)
    with pytest.raises(CalibrationError, match="cannot be read"):
        export(tiny_checkpoint(), calibration=tmp_path / "none.txt")
    assert not (tmp_path / "b").exists()


def test_a_document_that_cannot_be_summarised_is_named(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    calibration = tmp_path / "calibration.jsonl"
    calibration.write_text('{"document": ""}\n')
    with pytest.raises(CalibrationError, match=r"^the calibration documents cannot be summarised"):
        export_bundle(
            ExportRequest(
                model=str(tiny_checkpoint()),
                output=tmp_path / "b",
                precision="int8",
                calibration=calibration,
            )
        )


def test_layers_beyond_the_limit_are_kept_by_themselves(tmp_path: Path) -> None:
    """Weights that a scale cannot hold together, and which no factor reaches through a GELU."""
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", activation_function="gelu")
    path, layer = folder / "model.safetensors", "model.decoder.layers.0"
    tensors = load_file(path)
    for kind in ("weight", "bias"):
        tensors[f"{layer}.fc1.{kind}"][0] = 0  # a neuron that is always silent,
    tensors[f"{layer}.fc2.weight"][:, 0] = 1e4  # however loudly it would be heard
    save_file(tensors, path, metadata={"format": "pt"})
    result = export_bundle(
        ExportRequest(model=str(folder), output=tmp_path / "bundle", precision="int8")
    )
    name = f"{layer}.fc2"
    assert result.bundle.manifest.recipe["kept_fp32"] == [name]
    assert result.layer_formats[name] == "fp32"
    assert name not in result.layer_errors
    assert max(result.layer_errors.values()) < LAYER_LIMITS["int8"]


def test_no_more_than_a_quarter_of_the_layers_gets_more_bits(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore_layers_module, "LAYER_LIMITS", {"int8": 0.0})
    result = export_bundle(
        ExportRequest(model=str(tiny_checkpoint()), output=tmp_path / "bundle", precision="int8")
    )
    kept = result.bundle.manifest.recipe["kept_fp32"]
    assert isinstance(kept, list)
    assert len(kept) == len(result.layer_formats) // 4


def test_a_layer_that_four_bits_ruin_has_eight_and_one_that_eight_ruin_fp32(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By limits in the midst of a tiny checkpoint's errors."""
    folder = str(tiny_checkpoint())
    limits: dict[str, float] = {}
    monkeypatch.setattr(restore_layers_module, "LAYER_LIMITS", limits)
    plain = export_bundle(ExportRequest(model=folder, output=tmp_path / "plain", precision="int4"))
    errors = {name: error for name, error in plain.layer_errors.items() if name != "model.shared"}
    bad, worse = sorted(errors.values())[-2:]
    limits["int4"] = (sorted(errors.values())[-3] + bad) / 2
    raised = export_bundle(ExportRequest(model=folder, output=tmp_path / "8", precision="int4"))
    given = raised.bundle.manifest.recipe["raised_int8"]
    assert given == sorted(name for name, error in errors.items() if error in (bad, worse))
    assert all(raised.layer_formats[name] == "int8" for name in given)
    assert all(raised.layer_errors[name] < errors[name] / 2 for name in given)
    limits["int8"] = max(raised.layer_errors[name] for name in given) * 0.99
    kept = export_bundle(ExportRequest(model=folder, output=tmp_path / "32", precision="int4"))
    recipe = kept.bundle.manifest.recipe
    assert isinstance(recipe["kept_fp32"], list)
    assert len(recipe["kept_fp32"]) >= 1
    assert set(recipe["kept_fp32"]) < set(kept.layer_formats)
    assert all(kept.layer_formats[name] == "fp32" for name in recipe["kept_fp32"])
    with Summarizer.load(kept.bundle.folder) as summarizer:
        assert summarizer.summarize(tiny_sentences()[0])


def test_formats_are_raised_one_at_a_time_until_rouge_holds() -> None:
    layers = find_layers(["model.decoder.layers.0.fc1.weight", "model.decoder.layers.0.fc2.weight"])
    steps = list(restore_layers_module._more_and_more(PrecisionRecipe(name="int4"), layers))
    formats = [(count, [recipe.format_of(layer) for layer in layers]) for count, recipe in steps]
    assert formats == [
        (1, ["int8", "int4"]),
        (2, ["int8", "int8"]),
        (1, ["fp32", "int8"]),
        (2, ["fp32", "fp32"]),
    ]
