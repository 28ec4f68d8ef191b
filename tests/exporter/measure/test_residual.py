"""The residual stream at another scale: the same function, bit by bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pegasus_engines.network import is_norm
from pegasus_engines.precision.residual_shift import NO_SHIFT, ResidualShift
from pegasus_export.checkpoint.folder import open_checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.graphs import whole
from pegasus_export.measure.residual import DEFAULT_SHIFT, choose_shift, largest_residual
from pegasus_export.models.loading import load_pegasus
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.stages.export import ExportRequest, export_bundle

ARCHITECTURES = [
    "PegasusForConditionalGeneration",
    "BigBirdPegasusForConditionalGeneration",
    "PegasusForCausalLM",
    "PegasusXForConditionalGeneration",
]
SOURCES = [[7, 120, 33, 1], [15, 16, 17, 18, 19, 20, 1]]


def load(checkpoint: Path, shift: ResidualShift = NO_SHIFT) -> Pegasus:
    """The module, with all that makes the scale of its residual stream as the shift says."""
    pegasus = load_pegasus(open_checkpoint(str(checkpoint), revision=None))
    named = pegasus.state_dict(keep_vars=True)
    # PEGASUS-X has one table of positions under two names.
    for name, tensor in {id(tensor): (name, tensor) for name, tensor in named.items()}.values():
        tensor.data = torch.from_numpy(shift.scale_weight(name, tensor.numpy()))
    pegasus.embed_scale = shift.scale_embedding(pegasus.embed_scale)
    for norm in norms(pegasus).values():
        norm.eps = shift.scale_epsilon(norm.eps)
    return pegasus


def norms(pegasus: Pegasus) -> dict[str, nn.LayerNorm]:
    return {x: module for x, module in pegasus.named_modules() if isinstance(module, nn.LayerNorm)}


def logits(pegasus: Pegasus, source: list[int]) -> torch.Tensor:
    ids = torch.tensor([source])
    cross = None
    if pegasus.model.encoder is not None:
        mask = torch.ones_like(ids)
        cross = whole.cross_keys(pegasus, whole.encode(pegasus, ids, mask), mask)
    hidden, _ = whole.decode(pegasus, ids, cross)
    return pegasus.logits(hidden.flatten(0, 1))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("bits", [1, 7, 15])
@torch.no_grad()
def test_a_scaled_stream_gives_the_same_bits(
    tiny_checkpoint: Callable[[str], Path], architecture: str, bits: int
) -> None:
    checkpoint = tiny_checkpoint(architecture)
    expected = [logits(load(checkpoint), source) for source in SOURCES]
    scaled = load(checkpoint, ResidualShift(bits=bits))
    got = [logits(scaled, source) for source in SOURCES]
    for each, exact in zip(got, expected, strict=True):
        assert torch.equal(each, exact)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_layer_norms_have_the_names_that_graphs_know_them_by(
    tiny_pegasus: Callable[[str], Pegasus], architecture: str
) -> None:
    pegasus = tiny_pegasus(architecture)
    assert {f"{name}.weight" for name in norms(pegasus)} == set(
        filter(is_norm, pegasus.state_dict())
    )


def test_the_largest_value_shrinks_with_the_stream(tiny_checkpoint: Callable[[str], Path]) -> None:
    checkpoint = tiny_checkpoint(ARCHITECTURES[0])
    largest = largest_residual(load(checkpoint), SOURCES)
    scaled = load(checkpoint, ResidualShift(bits=3))
    assert largest_residual(scaled, SOURCES) == largest / 8


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(0, 4), (300, 4), (6.9e4, 5), (65504, 4), (65505, 5), (1e6, 8)],
)
def test_the_shift_leaves_room_for_sixteen_times_the_largest(largest: float, bits: int) -> None:
    assert choose_shift(largest) == ResidualShift(bits=bits)
    assert bits >= DEFAULT_SHIFT.bits
    assert largest * 16 * 2.0**-bits <= 65504


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
