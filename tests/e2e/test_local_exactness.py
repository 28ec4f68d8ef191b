"""The block-local encoder's outputs are transformers', at every length that matters.

A small random PegasusXModel with the blocks and global tokens of the published checkpoints is
exported to both targets, and the encoder's last hidden states (of about unit variance) are held
against transformers' in fp32, as in test_encoder_exactness.py: at lengths around one block and
around multiples of it up to the last position, and in batches of unequal lengths, whose shorter
documents have blocks of nothing but padding. Target trt has the operators of target onnx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from e2e.parity.options import EXACTNESS
from e2e.test_encoder_exactness import LIMIT, TARGETS, padded_batch
from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.ort import run_graph
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime.bundle import open_bundle

BATCHES = ([1], [511], [512], [513], [1024], [4096], [16384], [513, 1, 300], [1800, 512, 3, 257])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkpoint, whose attention is not too sharp for fp32, and its bundles."""
    folder = tmp_path_factory.mktemp("local")
    checkpoint = write_tiny_checkpoint(
        folder / "checkpoint",
        architecture="PegasusXModel",
        block_size=512,
        num_global_tokens=128,
        max_position_embeddings=16384,
        decoder_layers=1,
    )
    weights = load_file(checkpoint / "model.safetensors")
    for name in weights:
        if name.startswith("encoder") and name.endswith(("q_proj.weight", "k_proj.weight")):
            weights[name] /= 3
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    for target in TARGETS:
        export_bundle(ExportRequest(model=str(checkpoint), output=folder / target, target=target))
    return folder


@torch.no_grad()
def ask_transformers(model: Any, feeds: dict[str, torch.Tensor]) -> np.ndarray:
    inputs = {name: feeds[name] for name in ("input_ids", "attention_mask")}
    hidden: np.ndarray = model.get_encoder()(**inputs).last_hidden_state.numpy()
    return hidden


def largest_differences(model: Any, folder: Path, batches: Sequence[list[int]]) -> list[float]:
    """Of every batch and target, at a token."""
    found = []
    bundles = [open_bundle(folder / target) for target in TARGETS]
    for lengths in batches:
        feeds = padded_batch(lengths, model.config.vocab_size)
        expected = ask_transformers(model, feeds)
        tokens = feeds["attention_mask"].numpy().astype(bool)
        assert 0.5 < float(expected[tokens].std()) < 2, "about unit variance"
        for bundle in bundles:
            outputs = run_graph(bundle, "model", {name: x.numpy() for name, x in feeds.items()})
            got = outputs["encoder_last_hidden_state"]
            assert np.isfinite(got).all()
            found.append(float(np.abs(got - expected)[tokens].max()))
    return found


def test_the_encoder_has_the_outputs_of_transformers_at_every_length(
    exported: Path, record_property: Callable[[str, object], None]
) -> None:
    torch.manual_seed(0)
    model = transformers.PegasusXModel.from_pretrained(exported / "checkpoint")
    found = largest_differences(model, exported, BATCHES)
    record_property(EXACTNESS, max(found))
    assert max(found) < LIMIT, found


def test_blocks_are_cut_and_not_gathered(exported: Path) -> None:
    """All that is looked up is tokens, positions and global tokens."""
    graph = ir.load(exported / "onnx" / "model.onnx").graph
    assert {node.domain for node in graph} == {""}
    tables = {node.inputs[0].name for node in graph if node.op_type == "Gather"}
    assert {str(name).split(".")[-2] for name in tables if str(name).endswith(".weight")} == {
        "embed_global",
        "embed_positions",
        "shared",
    }
