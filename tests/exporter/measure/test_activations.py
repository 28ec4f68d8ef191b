"""What layers read, and that moving large activations into weights leaves the network as it is."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pegasus_engines.precision.equalisation import Equalisation, find_equalisation
from pegasus_export.graphs import whole
from pegasus_export.measure.activations import observe_inputs, watch_inputs
from pegasus_export.models.loading import equalise_source_values
from pegasus_export.models.pegasus import Pegasus

TinyPegasus = Callable[[str], Pegasus]
ARCHITECTURES = (
    "PegasusForConditionalGeneration",
    "BigBirdPegasusForConditionalGeneration",
    "PegasusXForConditionalGeneration",
)
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
    found = observe_inputs(pegasus, SOURCES, SUMMARIES)
    assert set(found.rows) == set(found.largest) == set(rows)
    for name, seen in rows.items():
        np.testing.assert_array_equal(found.largest[name], torch.cat(seen).abs().amax(0).numpy())
        np.testing.assert_array_equal(found.rows[name], torch.cat(seen).numpy())  # all: few
    half = found.rows_to_round_by["model.shared"], found.rows_to_judge_by["model.shared"]
    assert sum(map(len, half)) == len(found.rows["model.shared"])
    read = [len(x) for x in rows["model.encoder.layers.0.fc1"]]
    local = pegasus.config.block_local
    beside = 0 if local is None else local.num_global_tokens  # which go through every layer, too
    assert read == [beside + len(source) for source in SOURCES]
    assert [len(x) for x in rows["model.shared"]] == [len(summary) for summary in SUMMARIES]


def test_nothing_watches_afterwards(tiny_pegasus: TinyPegasus) -> None:
    pegasus = tiny_pegasus(ARCHITECTURES[0])

    def fail(name: str, rows: torch.Tensor) -> None:
        raise RuntimeError(name)

    with pytest.raises(RuntimeError):
        watch_inputs(pegasus, SOURCES, SUMMARIES, fail)
    outputs(pegasus, SOURCES[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_equalisation_keeps_the_function_to_the_bit(
    tiny_pegasus: TinyPegasus, architecture: str
) -> None:
    """Also for sparse attention."""
    exact = copy.deepcopy(tiny_pegasus(architecture))
    torch.manual_seed(0)
    with torch.no_grad():  # channels of different sizes
        for name, weight in exact.named_parameters():
            if name.endswith(("norm.weight", "v_proj.weight", "fc1.weight")):
                factor = torch.exp(2 * torch.randn(len(weight)))
                weight.mul_(factor if weight.ndim == 1 else factor[:, None])
    observed = observe_inputs(exact, SOURCES, SUMMARIES)
    weights = {name: tensor.numpy() for name, tensor in exact.state_dict().items()}
    is_relu = exact.config.activation_function == "relu"
    found = find_equalisation(weights, observed.largest, through_activation=is_relu)
    equal = copy.deepcopy(exact)
    equal.load_state_dict(
        {name: torch.from_numpy(found.apply(name, array.copy())) for name, array in weights.items()}
    )
    config = exact.config
    seams = 3 * config.encoder_layers + 5 * config.decoder_layers + 1
    if is_relu:
        seams += config.encoder_layers + config.decoder_layers
    if config.block_local is not None:  # a norm beside another, with its factors
        seams += config.encoder_layers
    assert len(found.divided) == seams
    assert found.channels > seams
    layers = config.decoder_layers
    for source in SOURCES:
        got, expected = outputs(equal, source), outputs(exact, source)
        assert all(map(torch.equal, got[:layers], expected[:layers]))  # keys; values have factors
        assert torch.equal(got[-1], expected[-1])
    after, predicted = observe_inputs(equal, SOURCES, SUMMARIES), observed.equalised(found)
    for name, expected_largest in predicted.largest.items():
        np.testing.assert_array_equal(after.largest[name], expected_largest)
        np.testing.assert_array_equal(after.rows[name], predicted.rows[name])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_values_that_leave_the_encoder_have_their_factors_and_nothing_else_changes(
    tiny_pegasus: TinyPegasus, architecture: str
) -> None:
    exact = tiny_pegasus(architecture)
    name = "model.decoder.layers.0.encoder_attn.v_proj"
    size = exact.config.d_model
    factor = np.exp2(np.arange(size) % 5 - 2).astype(np.float32)
    equal = copy.deepcopy(exact)
    equalise_source_values(equal, Equalisation(divided={name: factor}))
    layers, source = exact.config.decoder_layers, SOURCES[0]
    got, expected = outputs(equal, source), outputs(exact, source)
    values, before = (each[layers].transpose(1, 2).flatten(2) for each in (got, expected))
    assert torch.equal(values * torch.from_numpy(factor), before)
    assert not torch.equal(values, before)
    for index in set(range(2 * layers + 1)) - {layers}:
        assert torch.equal(got[index], expected[index])


def test_rows_are_spread_over_long_documents(tiny_pegasus: TinyPegasus) -> None:
    pegasus = tiny_pegasus(ARCHITECTURES[0])
    sources = [[5 + index % 40 for index in range(60)] for _ in range(6)]
    found = observe_inputs(pegasus, sources, SUMMARIES[:1] * 6)
    assert len(found.rows["model.encoder.layers.0.fc1"]) == 6 * 43  # 256 in all, rounded up
