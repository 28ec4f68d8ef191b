"""An export in one process: what is in the bundle, and what stops it."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest
import torch

from exporter.tiny_checkpoint import write_tiny_checkpoint
from exporter.tolerances import assert_close
from pegasus_engines.ort import run_graph
from pegasus_engines.weights import PAGE_BYTES
from pegasus_export.checkpoint.folder import hash_source, open_checkpoint
from pegasus_export.errors import (
    CheckpointError,
    OutputError,
    UnsupportedError,
    VerificationError,
)
from pegasus_export.graphs import whole
from pegasus_export.models.loading import load_pegasus
from pegasus_export.request.export import PlanRequest
from pegasus_export.request.progress import Advance, silent
from pegasus_export.stages.export import ExportRequest, ExportResult, export_bundle
from pegasus_runtime.bundle import Limits, TokenIds, open_bundle

SEQ2SEQ = "PegasusForConditionalGeneration"
TASKS = {
    SEQ2SEQ: "summarization",
    "PegasusModel": "feature-extraction",
    "PegasusForCausalLM": "text-generation",
}
ALL = [(name, target) for name in TASKS for target in ("ort", "onnx")]
TinyBundle = Callable[[str, str], Path]
TinyCheckpoint = Callable[[str], Path]


def _export(model: Path, output: Path, **options: Any) -> ExportResult:
    return export_bundle(ExportRequest(model=str(model), output=output, **options))


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_the_manifest_says_what_was_exported(
    tiny_bundle: TinyBundle, tiny_checkpoint: TinyCheckpoint, architecture: str, target: str
) -> None:
    folder = tiny_bundle(architecture, target)
    manifest = open_bundle(folder, check_hashes=True).manifest
    checkpoint = open_checkpoint(str(tiny_checkpoint(architecture)))
    assert (manifest.task, manifest.target) == (TASKS[architecture], target)
    assert manifest.precision == "fp32"
    facts = manifest.architecture
    has_encoder = architecture != "PegasusForCausalLM"
    assert (facts.model_type, facts.architecture) == ("pegasus", architecture)
    assert (facts.encoder_layers, facts.decoder_layers) == (2 * has_encoder, 2)
    assert (facts.encoder_heads, facts.decoder_heads) == (2 * has_encoder, 2)
    assert (facts.d_model, facts.head_dim) == (32, 16)
    assert facts.vocab_size == checkpoint.config.vocab_size
    assert manifest.token_ids == TokenIds(
        pad_token_id=0, eos_token_ids=(1,), decoder_start_token_id=0
    )
    assert manifest.limits == Limits(max_source_tokens=96, max_target_tokens=96, max_beams=32)
    assert manifest.generation == checkpoint.generation
    assert manifest.source.sha256 == hash_source(checkpoint)
    assert manifest.source.name == str(tiny_checkpoint(architecture))
    assert set(manifest.tools) == {"pegasus-edge", "torch", "onnx", "onnxscript", "onnxruntime"}
    assert manifest.tools["torch"] == torch.__version__
    assert manifest.tokenizer is not None
    assert (folder / "spiece.model").read_bytes() == checkpoint.spiece.read_bytes()  # type: ignore[union-attr]


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_the_manifest_holds_what_was_measured_and_every_file(
    tiny_bundle: TinyBundle, architecture: str, target: str
) -> None:
    folder = tiny_bundle(architecture, target)
    manifest = open_bundle(folder).manifest
    assert set(manifest.verification) == set(manifest.graphs)
    for figures in manifest.verification.values():
        assert isinstance(figures, dict)
        assert 0 < figures["error"] < figures["tolerance"] < 1e-4
        assert 0 < figures["fp32_error"] < figures["tolerance"]
    on_disk = {path.name for path in folder.iterdir()}
    assert on_disk == {*manifest.files, "manifest.json"}
    companions = {
        "config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "README.md",
        "contract.md",
        "test_vectors.json",
    }
    assert companions & on_disk == (companions if target == "onnx" else set())
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_weights_are_there_once(tiny_bundle: TinyBundle, architecture: str, target: str) -> None:
    folder = tiny_bundle(architecture, target)
    tensors: dict[int, int] = {}
    for path in folder.glob("*.onnx"):
        for value in ir.load(path).graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                assert value.const_value.offset is not None
                tensors[value.const_value.offset] = value.const_value.nbytes
    offsets = sorted(tensors)
    for offset, following in itertools.pairwise(offsets):
        padded = -(-tensors[offset] // PAGE_BYTES) * PAGE_BYTES
        assert offset + padded == following
    name = {"ort": "weights.bin", "onnx": f"{_first_graph(architecture)}.onnx_data"}[target]
    assert (folder / name).stat().st_size == offsets[-1] + tensors[offsets[-1]]
    others = sum(path.stat().st_size for path in folder.glob("*.onnx"))
    assert others < 500_000


def _first_graph(architecture: str) -> str:
    return "encoder_model" if architecture == SEQ2SEQ else "model"


@torch.no_grad()
def test_unequal_stacks_without_tied_weights_and_with_longer_sources(tmp_path: Path) -> None:
    shape: dict[str, Any] = {
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 2,
        "activation_function": "gelu_new",
        "tie_word_embeddings": False,
        "scale_embedding": False,
    }
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", **shape)
    result = _export(folder, tmp_path / "bundle", max_source_tokens=200)
    assert result.bundle.manifest.limits.max_source_tokens == 200
    assert [each.graph for each in result.measured] == ["encoder", "decoder_step"]
    pegasus = load_pegasus(open_checkpoint(str(folder)), max_source_tokens=200)
    ids = torch.randint(0, pegasus.config.vocab_size, (1, 200))
    mask = torch.ones_like(ids)
    cross = whole.cross_keys(pegasus, whole.encode(pegasus, ids, mask), mask)
    feeds = {"input_ids": ids.numpy(), "attention_mask": mask.numpy()}
    got = run_graph(open_bundle(tmp_path / "bundle"), "encoder", feeds)
    assert_close(got["cross_key.0"], cross.keys[0])


def test_force_replaces_and_text_generation_needs_no_tokenizer(
    tmp_path: Path, tiny_bundle: TinyBundle
) -> None:
    output = tmp_path / "bundle"
    shutil.copytree(tiny_bundle(SEQ2SEQ, "ort"), output)
    folder = write_tiny_checkpoint(
        tmp_path / "checkpoint", architecture="PegasusForCausalLM", activation_function="silu"
    )
    (folder / "spiece.model").unlink()
    result = _export(folder, output, force=True)
    assert open_bundle(output, check_hashes=True) == result.bundle
    assert result.bundle.manifest.tokenizer is None
    assert sorted(path.name for path in output.iterdir()) == [
        "decoder_step.onnx",
        "manifest.json",
        "prefill.onnx",
        "weights.bin",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "checkpoint"]


def test_a_failed_replacement_leaves_the_old_bundle(
    tmp_path: Path, tiny_bundle: TinyBundle
) -> None:
    output = tmp_path / "bundle"
    shutil.copytree(tiny_bundle(SEQ2SEQ, "ort"), output)
    with pytest.raises(CheckpointError):
        _export(tmp_path / "nothing", output, force=True)
    assert open_bundle(output, check_hashes=True).manifest.task == "summarization"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _refused(
    tmp_path: Path, folder: Path, error: type[Exception], match: str, **options: Any
) -> None:
    with pytest.raises(error, match=match):
        _export(folder, tmp_path / "out" / "bundle", **options)
    assert list((tmp_path / "out").iterdir()) == []


def test_summarization_needs_a_tokenizer(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint")
    (folder / "spiece.model").unlink()
    match = r"has no spiece\.model, tokenizer\.json or vocab\.txt, one of which summarization needs"
    _refused(tmp_path, folder, CheckpointError, match)
    _refused(tmp_path, folder, CheckpointError, match, target="onnx")


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", vocab_size=150)
    match = r"spiece\.model has \d+ tokens, the model 150: take the spiece\.model"
    _refused(tmp_path, folder, CheckpointError, match)


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint")
    (folder / "spiece.model").write_bytes(b"no tokenizer")
    _refused(tmp_path, folder, CheckpointError, r"spiece\.model")


def test_generation_defaults_that_are_not_offered_are_refused(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint")
    _edit(
        folder / "generation_config.json",
        num_beams=4,
        typical_p=0.5,
        guidance_scale=2.0,
        num_beam_groups=2,
    )
    match = (
        "generates with guidance_scale, num_beam_groups, which pegasus-edge does not offer: remove"
    )
    _refused(tmp_path, folder, UnsupportedError, match)


@pytest.mark.parametrize(
    ("architecture", "task", "offered"),
    [
        (SEQ2SEQ, "text-generation", "summarization or feature-extraction"),
        ("PegasusModel", "summarization", "feature-extraction"),
        ("PegasusForCausalLM", "translation", "text-generation"),
    ],
)
def test_a_task_of_another_architecture_is_refused(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, architecture: str, task: str, offered: str
) -> None:
    match = f"^task '{task}' is not what a {architecture} does: use --task {offered}$"
    _refused(tmp_path, tiny_checkpoint(architecture), UnsupportedError, match, task=task)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("PegasusForCausalLM", {"precision": "fp16"}),
        ("PegasusForCausalLM", {"target": "trt", "plans": PlanRequest(onnx_only=True)}),
        ("PegasusModel", {"target": "trt-rtx", "plans": PlanRequest(onnx_only=True)}),
    ],
)
def test_what_runs_on_a_device_is_for_summaries(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint, architecture: str, options: dict[str, Any]
) -> None:
    match = r"is for summarization, not for .*: use --target onnx, or --target ort in fp32, int8 or"
    _refused(tmp_path, tiny_checkpoint(architecture), UnsupportedError, match, **options)


def test_a_limit_on_sources_is_refused_where_there_are_none(
    tmp_path: Path, tiny_checkpoint: TinyCheckpoint
) -> None:
    match = "max-source-tokens has no meaning for text-generation, which reads no source: leave it"
    folder = tiny_checkpoint("PegasusForCausalLM")
    _refused(tmp_path, folder, UnsupportedError, match, max_source_tokens=64)


def test_an_unknown_target_is_refused(tmp_path: Path, tiny_checkpoint: TinyCheckpoint) -> None:
    with pytest.raises(UnsupportedError, match="target 'tpu' is not known"):
        _export(tiny_checkpoint(SEQ2SEQ), tmp_path / "bundle", target="tpu")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused(tmp_path: Path, tiny_checkpoint: TinyCheckpoint) -> None:
    with pytest.raises(OutputError, match=r"output folder exists: .* pass --force"):
        _export(tiny_checkpoint(SEQ2SEQ), tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tiny_checkpoint: TinyCheckpoint) -> None:
    with pytest.raises(OutputError, match=r"^/proc/none/bundle cannot be written \(.*\): free"):
        _export(tiny_checkpoint(SEQ2SEQ), Path("/proc/none/bundle"))


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (
            lambda data: data.replace(b"Relu", b"None"),
            r"decoder_step\.onnx: ONNX Runtime cannot load it: .*repo",
        ),
        (lambda data: data.replace(b"Relu", b"Sqrt"), "graph decoder_step: differs from the check"),
    ],
)
def test_a_bundle_that_was_damaged_on_the_way_is_not_published(
    tmp_path: Path,
    tiny_checkpoint: TinyCheckpoint,
    damage: Callable[[bytes], bytes],
    match: str,
) -> None:
    output = tmp_path / "out" / "bundle"

    @contextmanager
    def damage_before_verifying(name: str, total_bytes: int | None = None) -> Iterator[Advance]:
        if name == "verify":
            (path,) = output.parent.glob(".bundle.pegasus-partial-*/decoder_step.onnx")
            path.write_bytes(damage(path.read_bytes()))
        with silent(name, total_bytes) as advance:
            yield advance

    request = ExportRequest(model=str(tiny_checkpoint("PegasusForCausalLM")), output=output)
    with pytest.raises(VerificationError, match=match):
        export_bundle(request, damage_before_verifying)
    assert list(output.parent.iterdir()) == []


def test_features_of_a_conditional_generator_have_no_generation_to_refuse(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", activation_function="gelu")
    _edit(folder / "generation_config.json", guidance_scale=2.0)
    (folder / "spiece.model").unlink()
    result = _export(folder, tmp_path / "bundle", task="feature-extraction")
    assert list(result.bundle.manifest.graphs) == ["model"]
    assert result.bundle.manifest.architecture.architecture == SEQ2SEQ
