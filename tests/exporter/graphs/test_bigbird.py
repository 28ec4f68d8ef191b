"""Bundles of BigBirdPegasus against transformers, short and long, padded, in both targets."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.ort import run_graph
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.sessions.ort.encoder import OrtEncoder

TinyBundle = Callable[[str, str], Path]
Oracle = Callable[[str], Any]
SEQ2SEQ = "BigBirdPegasusForConditionalGeneration"
CLASSIFIER = "BigBirdPegasusForSequenceClassification"
QUESTIONS = "BigBirdPegasusForQuestionAnswering"
# Blocks of 4, r = 2: in full up to 36 tokens, 96 positions.
BATCHES = [[1], [4], [5], [35], [36], [37], [40], [41, 60, 7], [95, 96], [96]]


@pytest.fixture(scope="module")
def oracle(tiny_checkpoint: Callable[[str], Path]) -> Oracle:
    """architecture -> transformers' model of the tiny checkpoint."""

    @cache
    def load(architecture: str) -> Any:
        return getattr(transformers, architecture).from_pretrained(tiny_checkpoint(architecture))

    return load


@torch.no_grad()
def run_oracle(model: Any, **feeds: torch.Tensor) -> tuple[Any, Any]:
    """transformers' outputs, in float32 and in float64."""
    outputs = []
    for each in (model.float(), copy.deepcopy(model).double()):
        # It stays with full attention after a short batch, until it is told.
        each.get_encoder().set_attention_type("block_sparse")
        outputs.append(each(**feeds))
    return outputs[0], outputs[1]


def assert_exact(got: Any, expected: Any, exact: Any) -> None:
    """At most 2e-5 from float64, for outputs of unit variance; or 4 times as far as transformers.

    These random models are sharp, so that float32 itself is further away now and then.
    """
    got, expected, exact = (np.asarray(x, np.float64) for x in (got, expected, exact))
    assert got.shape == exact.shape
    allowed = max(2e-5 * max(1.0, float(exact.std())), 4 * np.abs(expected - exact).max())
    assert np.abs(got - exact).max() <= allowed


def padded_batch(lengths: list[int], vocab_size: int) -> dict[str, torch.Tensor]:
    """Random documents; EOS stands at the end, and nowhere else."""
    input_ids = torch.randint(2, vocab_size, (len(lengths), max(lengths)))
    mask = torch.ones_like(input_ids)
    for row, length in enumerate(lengths):
        input_ids[row, length:] = 0
        input_ids[row, length - 1] = 1
        mask[row, length:] = 0
    return {"input_ids": input_ids, "attention_mask": mask}


def run_model(bundle: Bundle, graph: str, feeds: dict[str, torch.Tensor]) -> dict[str, Any]:
    return run_graph(bundle, graph, {name: x.numpy() for name, x in feeds.items()})


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_features_are_those_of_transformers(
    tiny_bundle: TinyBundle, oracle: Oracle, target: str
) -> None:
    model = oracle("BigBirdPegasusModel")
    bundle = open_bundle(tiny_bundle("BigBirdPegasusModel", target))
    for lengths in BATCHES:
        feeds = padded_batch(lengths, model.config.vocab_size)
        feeds["decoder_input_ids"] = torch.randint(0, 100, (len(lengths), 3))
        expected, exact = run_oracle(model, **feeds)
        got = run_model(bundle, "model", feeds)
        for name in ("last_hidden_state", "encoder_last_hidden_state"):
            assert_exact(got[name], expected[name], exact[name])


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_classifiers_have_the_logits_of_transformers(
    tiny_bundle: TinyBundle, oracle: Oracle, target: str
) -> None:
    model = oracle(CLASSIFIER)
    bundle = open_bundle(tiny_bundle(CLASSIFIER, target))
    for lengths in BATCHES:
        feeds = padded_batch(lengths, model.config.vocab_size)
        expected, exact = run_oracle(model, **feeds)
        got = run_model(bundle, "model", feeds)
        assert_exact(got["logits"], expected.logits, exact.logits)


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_answers_have_the_logits_of_transformers(
    tiny_bundle: TinyBundle, oracle: Oracle, target: str
) -> None:
    model = oracle(QUESTIONS)
    bundle = open_bundle(tiny_bundle(QUESTIONS, target))
    for lengths in BATCHES:
        feeds = padded_batch(lengths, model.config.vocab_size)
        expected, exact = run_oracle(model, **feeds)
        got = run_model(bundle, "model", feeds)
        for name in ("start_logits", "end_logits"):
            assert_exact(got[name], expected[name], exact[name])


def test_the_encoder_of_target_onnx_is_transformers_encoder(
    tiny_bundle: TinyBundle, oracle: Oracle
) -> None:
    model = oracle(SEQ2SEQ)
    bundle = open_bundle(tiny_bundle(SEQ2SEQ, "onnx"))
    for lengths in BATCHES:
        feeds = padded_batch(lengths, model.config.vocab_size)
        start = torch.zeros(len(lengths), 1, dtype=torch.int64)
        expected, exact = run_oracle(model, **feeds, decoder_input_ids=start)
        name = "encoder_last_hidden_state"
        got = run_model(bundle, "encoder_model", feeds)["last_hidden_state"]
        assert_exact(got, expected[name], exact[name])


@torch.no_grad()
def test_every_document_is_encoded_as_transformers_encodes_it_alone(
    tiny_bundle: TinyBundle, oracle: Oracle
) -> None:
    model = oracle(SEQ2SEQ)
    bundle = open_bundle(tiny_bundle(SEQ2SEQ, "ort"))
    lengths = [5, 7, 36, 37, 50, 96, 12]
    documents = [torch.randint(2, 100, (length,)).tolist() for length in lengths]
    got = OrtEncoder(bundle, threads=1).encode(documents)
    projections = [layer.encoder_attn.k_proj for layer in model.model.decoder.layers]
    for row, document in enumerate(documents):
        model.get_encoder().set_attention_type("block_sparse")
        encoded = model.get_encoder()(input_ids=torch.tensor([document])).last_hidden_state[0]
        for name, projection in zip(
            bundle.manifest.architecture.cross_names, projections, strict=False
        ):
            key = got[name].array[row, :, : len(document)]  # [H, S, Dh]
            keys = key.transpose(1, 0, 2).reshape(len(document), -1)
            np.testing.assert_allclose(keys, projection(encoded), rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("target", "config"),
    [("ort", {"num_random_blocks": 0}), ("ort", {"block_size": 1}), ("onnx", {"block_size": 7})],
)
def test_any_block_size_and_number_of_random_blocks_is_exported(
    tmp_path: Path, target: str, config: dict[str, int]
) -> None:
    folder = write_tiny_checkpoint(tmp_path / "checkpoint", architecture=SEQ2SEQ, **config)
    output = tmp_path / "bundle"
    result = export_bundle(ExportRequest(model=str(folder), output=output, target=target))
    assert all(each.error <= each.tolerance for each in result.measured)


@pytest.mark.parametrize("target", ["ort", "onnx"])
def test_a_seeded_plan_is_exported(tmp_path: Path, target: str) -> None:
    folder = write_tiny_checkpoint(
        tmp_path / "checkpoint", architecture=SEQ2SEQ, max_position_embeddings=200, block_size=8
    )
    export_bundle(
        ExportRequest(
            model=str(folder), output=tmp_path / "bundle", target=target, random_blocks="seeded"
        )
    )
    facts = open_bundle(tmp_path / "bundle").manifest.architecture
    assert (facts.attention_type, facts.random_blocks) == ("block_sparse", "seeded")
