"""Bundles that are not what the checkpoint makes: each is found."""

import dataclasses
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from pegasus_export.errors import VerificationError
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.bundle_kinds import find_kind
from pegasus_export.verify.measure import Expected
from pegasus_export.verify.ort import check_candidates
from pegasus_export.verify.reference import Reference, make_reference
from pegasus_export.verify.weights import check_weights
from pegasus_runtime.bundle import Bundle, open_bundle, parse_manifest
from pegasus_runtime.decoding.protocol import StepScores
from pegasus_runtime.errors import BundleError, EngineError

SEQ2SEQ = "PegasusForConditionalGeneration"
ALL = [
    (name, target)
    for name in (SEQ2SEQ, "PegasusModel", "PegasusForCausalLM")
    for target in ("ort", "onnx")
]
Copy = Callable[[str, str], Path]
MakeReference = Callable[[str], Reference]


@pytest.fixture
def copied(tmp_path: Path, tiny_bundle: Callable[[str, str], Path]) -> Copy:
    """(architecture, target) -> a copy of its bundle, to be damaged."""

    def copy(architecture: str, target: str) -> Path:
        return shutil.copytree(tiny_bundle(architecture, target), tmp_path / "bundle")

    return copy


@pytest.fixture(scope="module")
def reference(tiny_pegasus: Callable[[str], Pegasus]) -> MakeReference:
    """architecture -> what its bundles are held against."""
    return cache(lambda architecture: make_reference(tiny_pegasus(architecture)))


def _verify(folder: Path, expected: Reference) -> list[str]:
    """The graphs that were measured; as for the exporter, files have the size they have."""
    bundle = _bundle(folder)
    kind = find_kind(bundle.manifest.target, bundle.manifest.task, "fp32", num_beams=8)
    return [each.graph for each in kind.verify(bundle, expected)]


def _bundle(folder: Path) -> Bundle:
    manifest = parse_manifest((folder / "manifest.json").read_text(encoding="utf-8"))
    return Bundle(folder=folder, manifest=manifest)


def _change_weight(folder: Path, name: str, change: Callable[[np.ndarray], object]) -> None:
    """Changes a tensor of the weights file where the first graph that has it refers to."""
    for path in sorted(folder.glob("*.onnx")):
        for value in ir.load(path).graph.initializers.values():
            tensor = value.const_value
            if value.name == name and isinstance(tensor, ir.ExternalTensor):
                shape = tuple(tensor.shape.numpy())
                weights = np.memmap(
                    folder / str(tensor.location), "<f4", "r+", tensor.offset or 0, shape
                )
                change(weights)
                weights.flush()
                return
    raise AssertionError(f"no graph has {name}")


def _add_a_little(weights: np.ndarray) -> None:
    weights[0] += 0.01  # one row: LayerNorm takes back what all channels have in common


def _spoil(weights: np.ndarray) -> None:
    weights.flat[0] = np.nan


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_a_whole_bundle_passes_graph_by_graph(
    tiny_bundle: Callable[[str, str], Path],
    reference: MakeReference,
    architecture: str,
    target: str,
) -> None:
    folder = tiny_bundle(architecture, target)
    measured = _verify(folder, reference(architecture))
    assert sorted(measured) == sorted(open_bundle(folder).manifest.graphs)


def test_a_prefill_that_is_another_is_found(copied: Copy, reference: MakeReference) -> None:
    folder = copied("PegasusForCausalLM", "ort")
    model = onnx.load(folder / "prefill.onnx", load_external_data=False)
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    (epsilon,) = (each for each in norms[0].attribute if each.name == "epsilon")
    epsilon.f = 0.5
    onnx.save(model, folder / "prefill.onnx")
    with pytest.raises(VerificationError, match=r"^graph prefill: differs from the checkpoint"):
        _verify(folder, reference("PegasusForCausalLM"))


@pytest.mark.parametrize(("architecture", "target"), ALL)
@pytest.mark.parametrize("change", [_add_a_little, _spoil])
def test_an_altered_weight_is_found(
    copied: Copy,
    reference: MakeReference,
    architecture: str,
    target: str,
    change: Callable[[np.ndarray], object],
) -> None:
    folder = copied(architecture, target)
    _change_weight(folder, "model.decoder.layers.1.fc2.weight", change)
    with pytest.raises(VerificationError, match="differs from the checkpoint in float64 by"):
        _verify(folder, reference(architecture))


@pytest.mark.parametrize(("target", "graph"), [("ort", "encoder"), ("onnx", "encoder_model")])
def test_an_altered_encoder_is_named(
    copied: Copy, reference: MakeReference, target: str, graph: str
) -> None:
    folder = copied(SEQ2SEQ, target)
    _change_weight(folder, "model.encoder.layers.0.self_attn.out_proj.weight", _add_a_little)
    with pytest.raises(VerificationError, match=f"graph {graph}: differs"):
        _verify(folder, reference(SEQ2SEQ))


@pytest.mark.parametrize("name", ["embed_positions", "shared", "fc1", "self_attn.q"])
@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_a_weight_that_the_inputs_do_not_reach_is_found(
    copied: Copy, reference: MakeReference, target: str, name: str
) -> None:
    folder, weights = copied(SEQ2SEQ, target), reference(SEQ2SEQ).weights

    def change_last(array: np.ndarray) -> None:
        array[-1, -1] = np.nextafter(array[-1, -1], np.float32(1e9))

    found = next(each for each in _names(folder) if name in each)
    check_weights(_bundle(folder), weights)
    _change_weight(folder, found, change_last)
    with pytest.raises(VerificationError, match=f"weight {found} is not the checkpoint's: report"):
        check_weights(_bundle(folder), weights)


def _names(folder: Path) -> list[str]:
    graphs = [ir.load(path).graph for path in sorted(folder.glob("*.onnx"))]
    return [str(name) for graph in graphs for name in graph.initializers if "weight" in str(name)]


def _swap(values: list[ir.Value], one: str, other: str) -> None:
    names = {one: other, other: one}
    for value in values:
        value.name = names.get(str(value.name), value.name)


def test_swapped_cross_keys_are_found(copied: Copy, reference: MakeReference) -> None:
    folder = copied(SEQ2SEQ, "ort")
    model = ir.load(folder / "encoder.onnx")
    _swap(list(model.graph.outputs), "cross_key.0", "cross_key.1")
    _rewrite(folder / "encoder.onnx", model)
    with pytest.raises(VerificationError, match="graph encoder: differs"):
        _verify(folder, reference(SEQ2SEQ))


def test_swapped_keys_and_values_of_the_cache_are_found(
    copied: Copy, reference: MakeReference
) -> None:
    folder = copied(SEQ2SEQ, "onnx")
    model = ir.load(folder / "decoder_with_past_model.onnx")
    _swap(
        list(model.graph.inputs),
        "past_key_values.0.decoder.key",
        "past_key_values.1.decoder.key",
    )
    _rewrite(folder / "decoder_with_past_model.onnx", model)
    with pytest.raises(VerificationError, match="graph decoder_with_past_model: differs"):
        _verify(folder, reference(SEQ2SEQ))


def test_branches_that_have_changed_places_are_found(
    copied: Copy, reference: MakeReference
) -> None:
    path = copied(SEQ2SEQ, "onnx") / "decoder_model_merged.onnx"
    model = onnx.load(path, load_external_data=False)
    (choice,) = model.graph.node
    one, other = choice.attribute
    one.name, other.name = other.name, one.name
    path.unlink()
    onnx.save(model, path)
    with pytest.raises((VerificationError, EngineError), match="decoder_model_merged"):
        _verify(path.parent, reference(SEQ2SEQ))


def test_caches_of_the_merged_decoder_that_are_swapped_are_found(
    copied: Copy, reference: MakeReference
) -> None:
    path = copied(SEQ2SEQ, "onnx") / "decoder_model_merged.onnx"
    model = onnx.load(path, load_external_data=False)
    names = {f"past_key_values.{layer}.encoder.key": 1 - layer for layer in (0, 1)}
    for branch in model.graph.node[0].attribute:
        for node in branch.g.node:
            for place, name in enumerate(node.input):
                if name in names:
                    node.input[place] = f"past_key_values.{names[name]}.encoder.key"
    path.unlink()
    onnx.save(model, path)
    with pytest.raises(VerificationError, match="graph decoder_model_merged: differs"):
        _verify(path.parent, reference(SEQ2SEQ))


def _rewrite(path: Path, model: ir.Model) -> None:
    path.unlink()
    ir.save(model, path)


def test_beams_that_continue_other_histories_are_found(
    tiny_bundle: Callable[[str, str], Path], reference: MakeReference
) -> None:
    right = reference(SEQ2SEQ)
    parents = right.parents.copy()
    parents[3] = (parents[3] + 1) % parents.shape[2]
    with pytest.raises(VerificationError, match="graph decoder_step: differs"):
        _verify(tiny_bundle(SEQ2SEQ, "ort"), dataclasses.replace(right, parents=parents))


@pytest.mark.parametrize(("architecture", "target"), ALL)
def test_a_checkpoint_that_computes_no_numbers_is_blamed_itself(
    tiny_bundle: Callable[[str, str], Path],
    reference: MakeReference,
    architecture: str,
    target: str,
) -> None:
    right = reference(architecture)

    def spoil(expected: Expected) -> Expected:
        return dataclasses.replace(expected, exact=expected.exact * np.nan)

    wrong = dataclasses.replace(
        right,
        step_log_probs=[spoil(x) for x in right.step_log_probs],
        logits=spoil(right.logits),
        last_hidden=spoil(right.last_hidden),
    )
    with pytest.raises(VerificationError, match="the checkpoint itself computes values that are"):
        _verify(tiny_bundle(architecture, target), wrong)


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_a_graph_that_cannot_be_loaded_is_an_engine_error(
    copied: Copy, reference: MakeReference, target: str
) -> None:
    folder = copied(SEQ2SEQ, target)
    for path in folder.glob("encoder*.onnx"):
        model = onnx.load_model(path, load_external_data=False)
        model.graph.node[-1].op_type = "NoSuchOperator"
        path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match=r"encoder.*\.onnx: ONNX Runtime cannot"):
        _verify(folder, reference(SEQ2SEQ))


@pytest.mark.parametrize("odd", [False, True])
def test_zeros_are_no_graph(copied: Copy, reference: MakeReference, odd: bool) -> None:
    folder = copied(SEQ2SEQ, "ort")
    path = folder / "encoder.onnx"
    path.write_bytes(bytes(2 * path.stat().st_size + odd))
    with pytest.raises(BundleError, match=r"encoder\.onnx: no ONNX graph \(a field without"):
        _verify(folder, reference(SEQ2SEQ))


def _scores(**changes: np.ndarray) -> StepScores:
    log_probs = np.log(np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3]], np.float32))
    fields = {
        "top_ids": np.array([[1, 2], [0, 2]]),
        "top_scores": np.log(np.array([[0.6, 0.3], [0.5, 0.3]], np.float32)),
        "log_probs": log_probs,
        "log_normalizer": np.zeros((2, 1), np.float32),
    }
    return StepScores(**(fields | changes))


def test_the_best_candidates_pass() -> None:
    check_candidates(_scores())


@pytest.mark.parametrize(
    "changes",
    [
        {"top_ids": np.array([[1, 0], [0, 2]])},
        {"top_ids": np.array([[2, 1], [0, 2]])},
        {"top_scores": np.zeros((2, 2), np.float32)},
        {"log_probs": np.log(np.array([[0.2, 0.6, 0.3], [0.5, 0.2, 0.3]], np.float32))},
    ],
)
def test_other_candidates_are_refused(changes: dict[str, np.ndarray]) -> None:
    with pytest.raises(
        VerificationError, match="its candidates are not the best of its own log-probabilities: r"
    ):
        check_candidates(_scores(**changes))
