"""Bundles with a graph that generates; what it generates is tested in exporter/generation."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from made_once import MadeOnce
from pegasus_export.errors import UnsupportedError, VerificationError
from pegasus_export.generation.fixed import FixedSettings
from pegasus_export.generation.inputs import SCALARS
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.export import export_bundle
from pegasus_export.verify.generation import verify_generation
from pegasus_export.verify.measure import Measured
from pegasus_runtime import GenerationOptions, Summarizer
from pegasus_runtime.bundle import open_bundle

Make = Callable[..., Path]
SOURCE = [120, 131, 117, 1]


@pytest.fixture
def make(made_once: MadeOnce, tiny_checkpoint: Callable[..., Path]) -> Make:
    """Options of an export -> its folder."""

    def export(**options: Any) -> Path:
        model = str(tiny_checkpoint())
        return made_once.export(model=model, generate=True, **options).bundle.folder

    return export


def summarise(path: Path, num_beams: int = 3, there: int = 1) -> list[int]:
    feeds = {name: np.array(1, dtype.numpy()) for name, dtype in SCALARS.items()}
    feeds |= {name: np.array(0) for name in ("min_length", "early_stopping")}
    feeds |= {"no_repeat_ngram_size": np.array(0), "num_beams": np.array(num_beams)}
    feeds["max_length"] = np.array(12)
    ids = np.array([SOURCE])
    session = onnxruntime.InferenceSession(str(path))
    sequences, lengths, _ = session.run(
        None, {"input_ids": ids, "attention_mask": np.full_like(ids, there), **feeds}
    )
    found: list[int] = sequences[0, 0, : lengths[0, 0]].tolist()
    return found


def test_both_spellings_generate_what_the_runtime_does(make: Make) -> None:
    folder = make(target="ort")
    options = GenerationOptions(num_beams=3, max_length=12, min_length=0, length_penalty=1.0)
    with Summarizer.load(folder) as summarizer:  # which takes no notice of the graph
        expected = list(summarizer.generate([SOURCE], options)[0][0].token_ids)
    assert summarise(folder / "generate.onnx") == expected
    assert summarise(make(target="onnx", text=True) / "generate.onnx") == expected


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_what_is_not_0_in_a_mask_is_there(target: str, make: Make) -> None:
    path = make(target=target, **({"text": True} if target == "onnx" else {})) / "generate.onnx"
    assert summarise(path, there=2) == summarise(path)


def test_stock_operators_are_those_of_onnx_alone(make: Make) -> None:
    model = onnx.load(make(target="onnx", text=True) / "generate.onnx", load_external_data=False)
    assert {each.domain for each in model.opset_import} == {""}
    (loop,) = (node for node in model.graph.node if node.op_type == "Loop")
    assert all(node.domain == "" for node in loop.attribute[0].g.node)


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_weights_lie_once_in_the_file_of_all_graphs(target: str, make: Make) -> None:
    folder = make(target=target, **({"text": True} if target == "onnx" else {}))
    bundle = open_bundle(folder)
    assert bundle.manifest.graphs["generate"].file == "generate.onnx"
    assert bundle.path("generate.onnx").stat().st_size < 400_000
    files = set()
    for graph in bundle.manifest.graphs.values():
        model = onnx.load(bundle.path(graph.file), load_external_data=False)
        for tensor in model.graph.initializer:
            files |= {entry.value for entry in tensor.external_data if entry.key == "location"}
    assert len(files) == 1
    contract = (folder / "contract.md").read_text("utf-8")
    assert all(f"`{name}`" in contract for name in SCALARS)
    assert bundle.manifest.verification["generate"]["tolerance"] > 0  # type: ignore[index,call-overload]


def test_a_single_file_needs_no_other(make: Make, tmp_path: Path) -> None:
    folder = make(target="onnx", single_file=True)
    shutil.copy(folder / "generate.onnx", tmp_path)
    assert summarise(tmp_path / "generate.onnx") == summarise(folder / "generate.onnx")


def test_more_than_a_file_holds_is_refused(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegasus_export.generation.single_file._MOST_BYTES", 1000)
    with pytest.raises(UnsupportedError, match=r"--single-file: the weights are .* GB, one ONNX"):
        export_bundle(
            ExportRequest(
                model=str(tiny_checkpoint()),
                output=tmp_path / "out",
                generate=True,
                single_file=True,
            )
        )
    assert not (tmp_path / "out").exists()


def fixed(folder: Path) -> FixedSettings:
    manifest = open_bundle(folder).manifest
    return FixedSettings(
        pad=manifest.token_ids.pad_token_id,
        eos=manifest.token_ids.eos_token_ids,
        decoder_start=manifest.token_ids.decoder_start_token_id or 0,
        forced_bos=None,
        forced_eos=(1,),
        banned=(),
        banned_first=(),
        first_length=1,
        vocab_size=manifest.architecture.vocab_size,
        max_beams=32,
        max_length=manifest.limits.max_target_tokens,
        max_source_tokens=manifest.limits.max_source_tokens,
    )


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_a_graph_with_other_weights_fails_the_verification(
    target: str, make: Make, tmp_path: Path, reference: Any
) -> None:
    folder = make(target=target, **({"text": True} if target == "onnx" else {}))
    measured = [Measured(graph="step", error=0.0, fp32_error=0.0, tolerance=1e-5)]
    sound = verify_generation(open_bundle(folder), reference, measured, fixed(folder))
    assert sound.error < sound.tolerance
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    model = onnx.load(copy / "generate.onnx", load_external_data=False)
    (loop,) = (node for node in model.graph.node if node.op_type == "Loop")
    scaled = next(node for node in loop.attribute[0].g.node if node.op_type == "LayerNormalization")
    next(each for each in scaled.attribute if each.name == "epsilon").f = 0.3
    onnx.save(model, copy / "generate.onnx")
    damaged = dataclasses.replace(open_bundle(folder), folder=copy)
    with pytest.raises(VerificationError, match="scores otherwise in the bundle's other graphs"):
        verify_generation(damaged, reference, measured, fixed(folder))


@pytest.fixture
def reference(tiny_checkpoint: Callable[..., Path]) -> Any:
    from pegasus_export.checkpoint.folder import open_checkpoint
    from pegasus_export.models.loading import load_pegasus
    from pegasus_export.verify.reference import make_reference

    checkpoint = open_checkpoint(str(tiny_checkpoint()))
    positions = checkpoint.config.max_position_embeddings
    return make_reference(
        load_pegasus(checkpoint, max_source_tokens=positions, max_target_tokens=positions)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": True}, "--text is of the graph that generates: add --generate"),
        ({"single_file": True}, "--single-file is of the graph that generates: add --generate"),
        (
            {"generate": True, "target": "onnx", "layout": "transformers-js"},
            "--generate is for hosts that call one graph, and transformers.js calls others",
        ),
        ({"generate": True, "target": "trt-rtx"}, "not for trt-rtx: use --target onnx"),
        ({"generate": True, "target": "onnx", "precision": "fp16"}, "not for fp16"),
        (
            {"generate": True, "task": "feature-extraction"},
            "--generate is for summarization, not for feature-extraction",
        ),
    ],
)
def test_what_no_such_graph_is_for_is_refused(
    options: dict[str, Any], message: str, tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    with pytest.raises(UnsupportedError, match=message):
        export_bundle(ExportRequest(model=str(tiny_checkpoint()), output=output, **options))
    assert not output.exists()
