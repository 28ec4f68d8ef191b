"""What layers read, and that moving large activations into weights leaves the network as it is."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from exporter.tolerances import assert_close
from pegasus_engines.precision.smoothing import find_smoothing
from pegasus_export.graphs import whole
from pegasus_export.measure.activations import largest_inputs, watch_inputs
from pegasus_export.models.pegasus import Pegasus

TinyPegasus = Callable[[str], Pegasus]
ARCHITECTURES = ("PegasusForConditionalGeneration", "BigBirdPegasusForConditionalGeneration")
SOURCES = [[110, 120, 130, 1], [140, 150, *range(106, 160), 1]]
SUMMARIES = [(120, 1), (150, 140, 130, 1)]


@torch.no_grad()
def outputs(pegasus: Pegasus, source: list[int]) -> list[torch.Tensor]:
    """Keys and values of the source, and logits of a summary."""
    input_ids = torch.tensor([source])
    mask = torch.ones_like(input_ids)
    cross = whole.cross_keys(pegasus, whole.encode(pegasus, input_ids, mask), mask)
    hidden, _ = whole.decode(pegasus, torch.tensor([[0, *SUMMARIES[1]]]), cross)
    return [*cross.keys, *cross.values, pegasus.logits(hidden.flatten(0, 1))]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_linear_layer_and_the_head_are_watched(
    tiny_pegasus: TinyPegasus, architecture: str
) -> None:
    pegasus = tiny_pegasus(architecture)
    rows: dict[str, list[torch.Tensor]] = {}
    watch_inputs(pegasus, SOURCES, SUMMARIES, lambda name, x: rows.setdefault(name, []).append(x))
    linear = {name for name, each in pegasus.named_modules() if isinstance(each, nn.Linear)}
    assert set(rows) == linear | {"model.shared"}
    found = largest_inputs(pegasus, SOURCES, SUMMARIES)
    for name, seen in rows.items():
        np.testing.assert_array_equal(found[name], torch.cat(seen).abs().amax(0).numpy())
    read = [len(x) for x in rows["model.encoder.layers.0.fc1"]]
    assert read == [len(source) for source in SOURCES]
    assert [len(x) for x in rows["model.shared"]] == [len(summary) for summary in SUMMARIES]


def test_nothing_watches_afterwards(tiny_pegasus: TinyPegasus) -> None:
    pegasus = tiny_pegasus(ARCHITECTURES[0])

    def fail(name: str, rows: torch.Tensor) -> None:
        raise RuntimeError(name)

    with pytest.raises(RuntimeError):
        watch_inputs(pegasus, SOURCES, SUMMARIES, fail)
    outputs(pegasus, SOURCES[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_smoothing_keeps_the_function(tiny_pegasus: TinyPegasus, architecture: str) -> None:
    """In float64, where nothing but the last digits can differ; also for sparse attention."""
    exact = copy.deepcopy(tiny_pegasus(architecture)).double()
    largest = largest_inputs(exact, SOURCES, SUMMARIES)
    weights = {name: tensor.numpy() for name, tensor in exact.state_dict().items()}
    smoothing = find_smoothing(weights, largest)
    smooth = copy.deepcopy(exact)
    smooth.load_state_dict(
        {
            name: torch.from_numpy(smoothing.apply(name, array.copy()))
            for name, array in weights.items()
        }
    )
    config = exact.config
    layers = 2 * config.encoder_layers + 3 * config.decoder_layers + 1
    assert len(smoothing.divided) == layers
    for norm in smoothing.divided:
        changed = weights[f"{norm}.weight"] != smooth.state_dict()[f"{norm}.weight"].numpy()
        assert changed.mean() > 0.9
    for source in SOURCES:
        for got, expected in zip(outputs(smooth, source), outputs(exact, source), strict=True):
            assert got.dtype == torch.float64
            assert_close(got, expected)
    after = largest_inputs(smooth, SOURCES, SUMMARIES)
    for name, expected_largest in smoothing.largest.items():
        assert after[name].max() == pytest.approx(expected_largest, rel=1e-12)
