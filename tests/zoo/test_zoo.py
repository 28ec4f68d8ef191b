"""Checkpoints with one trait each, as users bring them: transformers' tokens, or a refusal.

    pytest tests/zoo -k added

A trait is exported to target ort in fp32, and held against `generate` of transformers on the same
folder: under the checkpoint's own defaults, and with four beams. Where transformers cannot read the
folder, it reads a twin without the trait.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_export.errors import ExportError
from pegasus_export.request.export import ExportRequest
from pegasus_export.stages.export import export_bundle
from pegasus_runtime import GenerationOptions, Summarizer
from zoo.configurations import CONFIGURATIONS
from zoo.oracle import TEXTS, Oracle
from zoo.settings import SETTINGS
from zoo.trait import Trait
from zoo.vocabularies import VOCABULARIES
from zoo.weights import WEIGHTS

TRAITS = (*CONFIGURATIONS, *SETTINGS, *VOCABULARIES, *WEIGHTS)
TAKEN = [trait for trait in TRAITS if trait.refused is None]
NOT_OF_THE_NETWORK = (*SETTINGS, *VOCABULARIES)
REFUSED = [trait for trait in TRAITS if trait.refused is not None]


def _write(trait: Trait, folder: Path) -> Path:
    written = dict(trait.written)
    if "dtype" in written:
        written["dtype"] = getattr(torch, written["dtype"])
    layers = {}
    if trait in NOT_OF_THE_NETWORK:  # of which one layer takes half the time to trace
        layers = {"encoder_layers": 1, "decoder_layers": 1}
    return write_tiny_checkpoint(
        folder,
        architecture=trait.architecture,
        generation=dict(trait.generation) or None,
        **written,
        **layers,
        **trait.config,
    )


def _export(trait: Trait, folder: Path) -> None:
    request = ExportRequest(model=str(folder / trait.model), output=folder / "bundle")
    export_bundle(request)


@pytest.mark.parametrize("trait", TAKEN, ids=str)
def test_tokens_are_those_of_transformers(trait: Trait, tmp_path: Path) -> None:
    checkpoint = _write(trait, tmp_path / "checkpoint")
    twin = checkpoint
    if trait.has_twin:
        twin = Path(shutil.copytree(checkpoint, tmp_path / "twin"))
        if trait.twin is not None:
            trait.twin(twin)
    if trait.change is not None:
        trait.change(checkpoint)
    _export(trait, tmp_path)
    oracle = Oracle(twin, with_tokenizer=trait.own_tokenizer)
    with Summarizer.load(tmp_path / "bundle", provider="cpu", threads=1) as summarizer:
        for text in TEXTS:
            source = list(summarizer.encode(text, truncate=True).token_ids)
            if trait.own_tokenizer:
                assert source == oracle.encode(text)[: len(source) - 1] + source[-1:]
            for options, named in (
                (None, {}),
                (GenerationOptions(num_beams=4), {"num_beams": 4}),
            ):
                hypotheses = summarizer.generate([source], options)[0]
                got = [hypothesis.token_ids for hypothesis in hypotheses]
                assert got == oracle.generate(source, **named)
            if trait.own_tokenizer:
                summary = summarizer.summarize(text, truncate=True)
                assert summary.text == oracle.decode(summary.token_ids).strip()


@pytest.mark.parametrize("trait", REFUSED, ids=str)
def test_a_refusal_names_the_trait(trait: Trait, tmp_path: Path) -> None:
    checkpoint = _write(trait, tmp_path / "checkpoint")
    if trait.change is not None:
        trait.change(checkpoint)
    with pytest.raises(ExportError, match=trait.refused):
        _export(trait, tmp_path)
    assert not (tmp_path / "bundle").exists()


def test_the_zoo_is_a_zoo() -> None:
    assert len(TAKEN) + len(REFUSED) >= 80
    assert len({str(trait) for trait in TRAITS}) == len(TRAITS)
