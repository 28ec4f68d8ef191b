"""FeatureExtractor against transformers, and what it refuses."""

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from exporter.tiny_checkpoint import tiny_sentences, write_tiny_checkpoint
from pegasus_export.errors import CheckpointError
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime import (
    BundleError,
    FeatureExtractor,
    GenerationInterrupted,
    InputError,
    TextClassifier,
)

LIMIT = 2e-5
SENTENCES = tiny_sentences()
TEXTS = [SENTENCES[0], " ".join(SENTENCES[1:5])[:140], "a", SENTENCES[7], SENTENCES[0]]
TOO_LONG = " ".join(SENTENCES[:30])
ARCHITECTURES = ("PegasusModel", "BigBirdPegasusModel")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose scores and states have about unit variance, and its bundle."""
    folder = tmp_path_factory.mktemp(request.param)
    write_tiny_checkpoint(folder / "checkpoint", architecture=request.param, sharpness=1.0)
    path = folder / "checkpoint" / "model.safetensors"
    weights = load_file(path)
    for name in weights:
        if name.endswith(("q_proj.weight", "k_proj.weight", "query.weight", "key.weight")):
            weights[name] /= 3
    save_file(weights, path, metadata={"format": "pt"})
    export_bundle(ExportRequest(model=str(folder / "checkpoint"), output=folder / "bundle"))
    return folder


@pytest.fixture(scope="module")
def extractor(folder: Path) -> FeatureExtractor:
    return FeatureExtractor.load(folder / "bundle", threads=1)


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return transformers.AutoModel.from_pretrained(folder / "checkpoint").eval()


@torch.no_grad()
def ask(model: Any, ids: tuple[int, ...], target: tuple[int, ...] | None) -> tuple[Any, Any]:
    """Hidden states of decoder and encoder; without a target, those of the class's own."""
    feeds = {"input_ids": torch.tensor([ids])}
    if target is not None:
        feeds["decoder_input_ids"] = torch.tensor([target])
    if hasattr(model.encoder, "set_attention_type"):
        model.encoder.set_attention_type("block_sparse")
    output = model(**feeds)
    return output[0][0].numpy(), output.encoder_last_hidden_state[0].numpy()


def test_hidden_states_are_those_of_transformers_and_of_each_text_alone(
    extractor: FeatureExtractor, model: Any
) -> None:
    """Texts of one token to 60, of which the longer are attended to sparsely."""
    own_default = model.config.model_type == "bigbird_pegasus"
    for found in extractor.extract(iter(TEXTS)):
        target = None if own_default else (0, *found.token_ids[:-1])
        expected = ask(model, found.token_ids, target)
        assert found.last_hidden_state.dtype == np.float32
        for got, wanted in zip(
            (found.last_hidden_state, found.encoder_last_hidden_state), expected, strict=True
        ):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=LIMIT)
    alone = [extractor.extract(text) for text in TEXTS]
    assert [len(each.token_ids) for each in alone] == [
        len(each.token_ids) for each in extractor.extract(TEXTS)
    ]


def test_a_decoder_reads_what_it_is_given(extractor: FeatureExtractor, model: Any) -> None:
    target = (7, 120, 130)
    for found in extractor.extract(TEXTS[:3], decoder_input_ids=list(target)):
        assert (found.decoder_input_ids, found.last_hidden_state.shape) == (target, (3, 32))
        decoded, _ = ask(model, found.token_ids, target)
        np.testing.assert_allclose(found.last_hidden_state, decoded, rtol=0, atol=LIMIT)


def test_more_positions_of_the_source_are_more_of_the_decoder_that_reads_it(
    folder: Path, model: Any, tmp_path: Path
) -> None:
    """As transformers' resize_position_embeddings does it; learned ones are not continued."""
    request = ExportRequest(
        model=str(folder / "checkpoint"), output=tmp_path / "bundle", max_source_tokens=130
    )
    if model.config.model_type == "bigbird_pegasus":
        with pytest.raises(CheckpointError, match="cannot be continued"):
            export_bundle(request)
        return
    export_bundle(request)
    longer = copy.deepcopy(model)
    longer.resize_position_embeddings(130)
    with FeatureExtractor.load(tmp_path / "bundle", threads=1) as extractor:
        found = extractor.extract(TOO_LONG, truncate=True)
    decoded, encoded = ask(longer, found.token_ids, found.decoder_input_ids)
    assert len(found.decoder_input_ids) == 130
    np.testing.assert_allclose(found.last_hidden_state, decoded, rtol=0, atol=LIMIT)
    np.testing.assert_allclose(found.encoder_last_hidden_state, encoded, rtol=0, atol=LIMIT)


def test_no_text_has_no_features(extractor: FeatureExtractor) -> None:
    assert extractor.extract([]) == []


def test_what_is_of_no_use_is_refused(extractor: FeatureExtractor) -> None:
    given: Any = 5
    for texts, message in (
        (b"text", "^texts is bytes, expected a text or a list of texts$"),
        (given, "^texts is int, expected"),
        ([TEXTS[0], given], "^text 1: text is int, expected str"),
        ("", "^text is empty or has only whitespace"),
        ([TEXTS[0], TOO_LONG], r"^text 1: source has \d+ tokens, the bundle takes 96"),
    ):
        with pytest.raises(InputError, match=message):
            extractor.extract(texts)
    for target, message in (
        ([], "^decoder_input_ids has no tokens"),
        ([9**9], "^decoder_input_ids has token 387420489, the vocabulary ends at"),
        ([0] * 97, "^decoder_input_ids has 97 tokens, the bundle takes 96"),
        (given, "^decoder_input_ids is no sequence of integers"),
    ):
        with pytest.raises(InputError, match=message):
            extractor.extract(TEXTS, decoder_input_ids=target)
    assert extractor.extract(TOO_LONG, truncate=True).truncated


def test_other_bundles_and_a_closed_one_are_refused(
    tiny_bundle: Callable[..., Path], folder: Path
) -> None:
    with pytest.raises(BundleError, match=r"open it with Summarizer$"):
        FeatureExtractor.load(tiny_bundle())
    with pytest.raises(BundleError, match=r"open it with FeatureExtractor$"):
        TextClassifier.load(folder / "bundle")
    with FeatureExtractor.load(folder / "bundle", threads=1) as extractor:
        pass
    with pytest.raises(BundleError, match="the FeatureExtractor is closed: load it again"):
        extractor.extract("a")


def test_a_cancelled_call_has_what_was_finished(extractor: FeatureExtractor) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(GenerationInterrupted, match=r"^extraction was cancelled$") as caught:
        extractor.extract(TEXTS, cancel=cancel)
    assert caught.value.results == (None,) * len(TEXTS)
    with pytest.raises(GenerationInterrupted, match=r"^extraction took longer than 0 s: allow"):
        extractor.extract(TEXTS[0], timeout_s=0)
    found = extractor.extract(TEXTS, cancel=threading.Event())
    for each, expected in zip(found, extractor.extract(TEXTS), strict=True):
        np.testing.assert_array_equal(each.last_hidden_state, expected.last_hidden_state)
