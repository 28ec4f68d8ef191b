"""The block-sparse encoder's outputs are transformers', at every length that matters.

For a block size and a number of random blocks, a small random BigBirdPegasusModel is exported to
both targets, and the encoder's last hidden states (of about unit variance) are held against
transformers' in fp32, whose attention is set to block_sparse anew before each input. Lengths are
around one block, around the length from which attention is sparse, and around multiples of the
block up to the last position; some batches are of unequal lengths. Where there is padding, nothing
is compared: no later layer sees it.

The scores of the attention have about unit variance. With the tests' checkpoints, in which they
have 81 times as much, transformers in fp32 is itself up to 5e-5 from float64 (and so are we): other
tests judge by float64 there.

    pytest tests/e2e/test_encoder_exactness.py --exactness-full      # blocks of 16, 32, 64; to 4096
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from e2e.parity.options import EXACTNESS
from exporter.tiny_checkpoint import write_tiny_checkpoint
from pegasus_engines.ort import run_graph
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_runtime.bundle import open_bundle

ARCHITECTURE = "BigBirdPegasusModel"
TARGETS = ("ort", "onnx")
LIMIT = 2e-5
LENGTHS = (1, 63, 64, 65, 703, 704, 705, 768, 1000, 1024, 1025, 2048, 3072, 4000, 4096)
BATCHES = ((64, 1, 40), (700, 705, 9), (1025, 64, 1000), (2100, 2048, 350, 3))
USUAL_LONGEST = 705


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    full = metafunc.config.getoption("--exactness-full")
    pairs = [(b, r) for b in (16, 32, 64) for r in (1, 2, 3)] if full else [(16, 1)]
    metafunc.parametrize(("block_size", "num_random_blocks"), pairs)


def write_checkpoint(folder: Path, *, block_size: int, num_random_blocks: int) -> Path:
    """The tests' random checkpoint, but for the sharpness of its encoder's attention."""
    write_tiny_checkpoint(
        folder,
        architecture=ARCHITECTURE,
        block_size=block_size,
        num_random_blocks=num_random_blocks,
        max_position_embeddings=4096,
    )
    weights = load_file(folder / "model.safetensors")
    sharp = [name for name in weights if name.endswith(("self.query.weight", "self.key.weight"))]
    assert sharp
    for name in sharp:
        weights[name] /= 3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def padded_batch(lengths: Sequence[int], vocab_size: int) -> dict[str, torch.Tensor]:
    """Random documents of these lengths, and one token for the decoder."""
    input_ids = torch.randint(2, vocab_size, (len(lengths), max(lengths)))
    mask = torch.ones_like(input_ids)
    for row, length in enumerate(lengths):
        input_ids[row, length:] = 0
        mask[row, length:] = 0
    start = torch.zeros(len(lengths), 1, dtype=torch.int64)
    return {"input_ids": input_ids, "attention_mask": mask, "decoder_input_ids": start}


@torch.no_grad()
def ask_transformers(model: Any, feeds: dict[str, torch.Tensor]) -> torch.Tensor:
    """The encoder's last hidden states [B, S, D]."""
    encoder = model.get_encoder()
    encoder.set_attention_type("block_sparse")  # after a short input it stays full
    inputs = {name: feeds[name] for name in ("input_ids", "attention_mask")}
    hidden: torch.Tensor = encoder(**inputs).last_hidden_state
    return hidden


def largest_differences(model: Any, folder: Path, batches: Sequence[Sequence[int]]) -> list[float]:
    """Of every batch and target, at a token."""
    found = []
    bundles = [open_bundle(folder / target) for target in TARGETS]
    for lengths in batches:
        feeds = padded_batch(lengths, model.config.vocab_size)
        expected = ask_transformers(model, feeds).numpy()
        tokens = feeds["attention_mask"].numpy().astype(bool)
        assert 0.5 < float(expected[tokens].std()) < 2, "about unit variance"
        for bundle in bundles:
            outputs = run_graph(bundle, "model", {name: x.numpy() for name, x in feeds.items()})
            got = outputs["encoder_last_hidden_state"]
            found.append(float(np.abs(got - expected)[tokens].max()))
    return found


def test_the_encoder_has_the_outputs_of_transformers_at_every_length(
    block_size: int,
    num_random_blocks: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    torch.manual_seed(0)
    longest = max(LENGTHS) if request.config.getoption("--exactness-full") else USUAL_LONGEST
    checkpoint = write_checkpoint(
        tmp_path / "checkpoint", block_size=block_size, num_random_blocks=num_random_blocks
    )
    for target in TARGETS:
        export_bundle(ExportRequest(model=str(checkpoint), output=tmp_path / target, target=target))
    model = transformers.BigBirdPegasusModel.from_pretrained(checkpoint)
    last_full = (5 + 2 * num_random_blocks) * block_size
    lengths = sorted({*LENGTHS, block_size, last_full, last_full + 1})
    batches = [each for each in (*([x] for x in lengths), *BATCHES) if max(each) <= longest]
    found = largest_differences(model, tmp_path, batches)
    record_property(EXACTNESS, max(found))
    assert max(found) < LIMIT
