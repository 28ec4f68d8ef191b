"""The residual stream at another scale: the same function, bit by bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pegasus_engines.precision.fp16 import writes_residual
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.graphs import whole
from pegasus_export.measure.residual import (
    DEFAULT_SHIFT,
    choose_shift,
    largest_residual,
    scaled_residual,
)
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.export import ExportRequest, export_bundle

ARCHITECTURES = [
    "PegasusForConditionalGeneration",
    "BigBirdPegasusForConditionalGeneration",
    "PegasusForCausalLM",
]
SOURCES = [[7, 120, 33, 1], [15, 16, 17, 18, 19, 20, 1]]


def load(checkpoint: Path, shift: int = 0) -> Pegasus:
    """The module, with everything that writes into the stream times 2^-shift."""
    pegasus = load_pegasus(open_checkpoint(str(checkpoint), revision=None))
    with torch.no_grad():
        for name, tensor in pegasus.state_dict(keep_vars=True).items():
            if writes_residual(name):
                tensor.data = tensor.data * 2.0**-shift
    return pegasus


def logits(pegasus: Pegasus, source: list[int]) -> torch.Tensor:
    ids = torch.tensor([source])
    cross = None
    if pegasus.model.encoder is not None:
        mask = torch.ones_like(ids)
        cross = whole.cross_keys(pegasus, whole.encode(pegasus, ids, mask), mask)
    hidden, _ = whole.decode(pegasus, ids, cross)
    return pegasus.logits(hidden.flatten(0, 1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("shift", [1, 7, 15])
@torch.no_grad()
def test_a_scaled_stream_gives_the_same_bits(
    tiny_checkpoint: Callable[[str], Path], architecture: str, shift: int
) -> None:
    checkpoint = tiny_checkpoint(architecture)
    expected = [logits(load(checkpoint), source) for source in SOURCES]
    scaled = load(checkpoint, shift)
    with scaled_residual(scaled, shift):
        got = [logits(scaled, source) for source in SOURCES]
    for each, exact in zip(got, expected, strict=True):
        assert torch.equal(each, exact)


@torch.no_grad()
def test_afterwards_the_module_is_as_it_was(tiny_checkpoint: Callable[[str], Path]) -> None:
    pegasus = load(tiny_checkpoint(ARCHITECTURES[0]))
    before = logits(pegasus, SOURCES[0])
    with scaled_residual(pegasus, 5):
        assert not torch.equal(logits(pegasus, SOURCES[0]), before)
    assert torch.equal(logits(pegasus, SOURCES[0]), before)


def test_the_largest_value_shrinks_with_the_stream(tiny_checkpoint: Callable[[str], Path]) -> None:
    checkpoint = tiny_checkpoint(ARCHITECTURES[0])
    largest = largest_residual(load(checkpoint), SOURCES)
    scaled = load(checkpoint, 3)
    with scaled_residual(scaled, 3):
        assert largest_residual(scaled, SOURCES) == largest / 8


@pytest.mark.parametrize(
    ("largest", "shift"),
    [(0, DEFAULT_SHIFT), (300, DEFAULT_SHIFT), (6.9e4, 5), (65504, 4), (65505, 5), (1e6, 8)],
)
def test_the_shift_leaves_room_for_sixteen_times_the_largest(largest: float, shift: int) -> None:
    assert choose_shift(largest) == shift
    assert largest * 16 * 2.0**-shift <= 65504


def test_a_weight_that_fp16_cannot_hold_is_told_in_one_line(
    tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint(ARCHITECTURES[0]), folder)
    weights = load_file(folder / "model.safetensors")
    name = "model.encoder.layers.0.fc1.weight"
    weights[name][0, 0] = 1e5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    request = ExportRequest(
        model=str(folder), output=tmp_path / "b", target="onnx", precision="fp16"
    )
    with pytest.raises(UnsupportedError, match=rf"^{name} has a value of 1e\+05, .*: use --prec"):
        export_bundle(request)
    assert not (tmp_path / "b").exists()
