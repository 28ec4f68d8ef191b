"""Graphs at sizes other than those they were traced with, one included, against the modules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from exporter.tolerances import assert_close
from pegasus_engines.ort import run_graph
from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus
from pegasus_runtime.bundle import open_bundle

SEQ2SEQ = "PegasusForConditionalGeneration"
LAYERS = 2
Arrays = dict[str, npt.NDArray[Any]]
TinyBundle = Callable[[str, str], Path]
TinyPegasus = Callable[[str], Pegasus]
SOURCES = [(1, 1), (1, 7), (3, 1), (3, 96)]


def _source(pegasus: Pegasus, batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens, the rows after the first one padded where there is room."""
    input_ids = torch.randint(0, pegasus.config.vocab_size, (batch, length))
    mask = torch.ones_like(input_ids)
    for row in range(1, batch):
        mask[row, max(1, length - row) :] = 0
    return input_ids, mask


def _cross(pegasus: Pegasus, input_ids: torch.Tensor, mask: torch.Tensor) -> whole.CrossKeys:
    return whole.cross_keys(pegasus, whole.encode(pegasus, input_ids, mask), mask)


@torch.no_grad()
@pytest.mark.parametrize(("batch", "length"), SOURCES)
def test_the_encoder_takes_any_source(
    tiny_bundle: TinyBundle, tiny_pegasus: TinyPegasus, batch: int, length: int
) -> None:
    pegasus = tiny_pegasus(SEQ2SEQ)
    input_ids, mask = _source(pegasus, batch, length)
    feeds = {"input_ids": input_ids.numpy(), "attention_mask": mask.numpy()}
    cross = _cross(pegasus, input_ids, mask)
    got = run_graph(open_bundle(tiny_bundle(SEQ2SEQ, "ort")), "encoder", feeds)
    for layer in range(LAYERS):
        assert_close(got[f"cross_key.{layer}"], cross.keys[layer])
        assert_close(got[f"cross_value.{layer}"], cross.values[layer])
    got = run_graph(open_bundle(tiny_bundle(SEQ2SEQ, "onnx")), "encoder_model", feeds)
    assert_close(got["last_hidden_state"], whole.encode(pegasus, input_ids, mask))


@torch.no_grad()
@pytest.mark.parametrize(
    ("batch", "beams", "length", "time", "candidates"),
    [(1, 1, 1, 1, 1), (1, 4, 6, 3, 2), (3, 1, 1, 5, 8), (2, 8, 9, 24, 16)],
)
@pytest.mark.parametrize("architecture", [SEQ2SEQ, "PegasusForCausalLM"])
def test_the_first_decoder_step_takes_any_number_of_rows(
    tiny_bundle: TinyBundle,
    tiny_pegasus: TinyPegasus,
    architecture: str,
    batch: int,
    beams: int,
    length: int,
    time: int,
    candidates: int,
) -> None:
    pegasus = tiny_pegasus(architecture)
    rows = batch * beams
    tokens = torch.randint(0, pegasus.config.vocab_size, (rows, 1))
    feeds: Arrays = {
        "input_ids": tokens.numpy(),
        "position": np.zeros(1, np.int32),
        "num_candidates": np.array([candidates]),
        "cache_indirection": np.zeros((batch, beams, time), np.int32),
    }
    feeds["cache_indirection"][:, :, 0] = np.arange(beams)
    empty = np.zeros((rows, 2, time, 16), np.float32)
    feeds |= {f"past_self_{kind}.{i}": empty for kind in ("key", "value") for i in range(LAYERS)}
    cross = None
    if architecture == SEQ2SEQ:
        input_ids, mask = _source(pegasus, batch, length)
        once = _cross(pegasus, input_ids, mask)
        feeds |= {"attention_mask": mask.numpy()}
        feeds |= {f"cross_key.{i}": once.keys[i].numpy() for i in range(LAYERS)}
        feeds |= {f"cross_value.{i}": once.values[i].numpy() for i in range(LAYERS)}
        cross = whole.CrossKeys(
            keys=[x.repeat_interleave(beams, 0) for x in once.keys],
            values=[x.repeat_interleave(beams, 0) for x in once.values],
            attention_mask=mask.repeat_interleave(beams, 0),
        )
    hidden, present = whole.decode(pegasus, tokens, cross)
    logits = pegasus.logits(hidden[:, -1])
    got = run_graph(open_bundle(tiny_bundle(architecture, "ort")), "decoder_step", feeds)
    assert_close(got["log_probs"], torch.log_softmax(logits, dim=-1))
    assert_close(got["log_normalizer"], torch.logsumexp(logits, dim=-1, keepdim=True))
    best = np.argsort(np.negative(got["log_probs"]), axis=1, kind="stable")[:, :candidates]
    np.testing.assert_array_equal(got["top_ids"], best)
    np.testing.assert_array_equal(
        got["top_scores"], np.take_along_axis(got["log_probs"], best, axis=1)
    )
    for layer in range(LAYERS):
        assert_close(got[f"present_self_key.{layer}"][:, :, 0], present.keys[layer][:, :, 0])
        assert_close(got[f"present_self_value.{layer}"][:, :, 0], present.values[layer][:, :, 0])


@torch.no_grad()
@pytest.mark.parametrize(("batch", "length"), SOURCES)
@pytest.mark.parametrize(("past", "target"), [(1, 1), (2, 3), (9, 1)])
def test_optimums_decoders_take_any_target(
    tiny_bundle: TinyBundle,
    tiny_pegasus: TinyPegasus,
    batch: int,
    length: int,
    past: int,
    target: int,
) -> None:
    pegasus, bundle = tiny_pegasus(SEQ2SEQ), open_bundle(tiny_bundle(SEQ2SEQ, "onnx"))
    input_ids, mask = _source(pegasus, batch, length)
    encoded = whole.encode(pegasus, input_ids, mask)
    cross = whole.cross_keys(pegasus, encoded, mask)
    tokens = torch.randint(0, pegasus.config.vocab_size, (batch, past + target))
    hidden, present = whole.decode(pegasus, tokens, cross)
    logits = pegasus.logits(hidden)
    source = {"encoder_attention_mask": mask.numpy()}
    first = {
        **source,
        "input_ids": tokens[:, :past].numpy(),
        "encoder_hidden_states": encoded.numpy(),
    }
    got = run_graph(bundle, "decoder_model", first)
    assert_close(got["logits"], logits[:, :past])
    rest: Arrays = {**source, "input_ids": tokens[:, past:].numpy()}
    for name in list(got)[1:]:
        rest[name.replace("present", "past_key_values")] = got[name]
    got = run_graph(bundle, "decoder_with_past_model", rest)
    assert_close(got["logits"], logits[:, past:])
    for layer in range(LAYERS):
        assert_close(got[f"present.{layer}.decoder.key"], present.keys[layer])
        assert_close(got[f"present.{layer}.decoder.value"], present.values[layer])
