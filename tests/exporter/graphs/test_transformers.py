"""Bundles of the other two tasks against transformers, with padding, in both targets."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers

from exporter.tolerances import assert_close
from pegasus_engines.ort import run_graph
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine

TinyBundle = Callable[[str, str], Path]
Oracle = Callable[[str], Any]

CAUSAL = pytest.mark.parametrize(
    "architecture", ["PegasusForCausalLM", "BigBirdPegasusForCausalLM"]
)


@pytest.fixture(scope="module")
def oracle(tiny_checkpoint: Callable[[str], Path]) -> Oracle:
    """architecture -> transformers' model of the tiny checkpoint."""

    @cache
    def load(architecture: str) -> Any:
        return getattr(transformers, architecture).from_pretrained(tiny_checkpoint(architecture))

    return load


@torch.no_grad()
@pytest.mark.parametrize("target", ["ort", "onnx"])
@pytest.mark.parametrize(("batch", "source", "length"), [(1, 1, 1), (3, 10, 4)])
def test_features_are_those_of_transformers(
    tiny_bundle: TinyBundle, oracle: Oracle, target: str, batch: int, source: int, length: int
) -> None:
    model = oracle("PegasusModel")
    feeds = {
        "input_ids": torch.randint(2, model.config.vocab_size, (batch, source)),
        "attention_mask": torch.ones(batch, source, dtype=torch.int64),
        "decoder_input_ids": torch.randint(0, model.config.vocab_size, (batch, length)),
    }
    for row in range(1, batch):
        feeds["attention_mask"][row, -3 * row :] = 0
        feeds["input_ids"][row, -3 * row :] = 0
    expected = model(**feeds)
    bundle = open_bundle(tiny_bundle("PegasusModel", target))
    got = run_graph(bundle, "model", {name: x.numpy() for name, x in feeds.items()})
    assert_close(got["last_hidden_state"], expected.last_hidden_state)
    assert_close(got["encoder_last_hidden_state"], expected.encoder_last_hidden_state)


@CAUSAL
@torch.no_grad()
def test_a_causal_graph_has_transformers_logits_over_padding_and_past(
    tiny_bundle: TinyBundle, oracle: Oracle, architecture: str
) -> None:
    model = oracle(architecture)
    input_ids = torch.randint(2, model.config.vocab_size, (2, 9))
    mask = torch.ones_like(input_ids)
    mask[1, :4] = 0  # generation pads on the left
    expected = model(input_ids=input_ids, attention_mask=mask).logits
    bundle = open_bundle(tiny_bundle(architecture, "onnx"))
    empty = np.zeros((2, 2, 0, 16), np.float32)
    past: dict[str, npt.NDArray[Any]] = {
        f"past_key_values.{layer}.{kind}": empty for layer in range(2) for kind in ("key", "value")
    }
    logits = []
    for start, end in [(0, 5), (5, 6), (6, 9)]:
        feeds = {"input_ids": input_ids[:, start:end], "attention_mask": mask[:, :end]}
        got = run_graph(bundle, "model", {**{k: x.numpy() for k, x in feeds.items()}, **past})
        logits.append(got.pop("logits"))
        past = {name.replace("present", "past_key_values"): x for name, x in got.items()}
    seen = mask.numpy() > 0
    assert_close(np.concatenate(logits, axis=1)[seen], expected.numpy()[seen])


@CAUSAL
@torch.no_grad()
def test_a_causal_step_has_transformers_log_probabilities(
    tiny_bundle: TinyBundle, oracle: Oracle, architecture: str
) -> None:
    model = oracle(architecture)
    tokens = torch.randint(2, model.config.vocab_size, (3, 6))
    expected = torch.log_softmax(model(input_ids=tokens).logits, dim=-1)
    engine = OrtEngine(open_bundle(tiny_bundle(architecture, "ort")), threads=1)
    decoding = engine.start([[], [], []], rows_per_document=1, max_length=6)
    same = np.zeros((3, 1), np.int64)
    for step in range(6):
        scores = decoding.step(
            tokens[:, step].numpy(), same if step else None, num_candidates=2, full=True
        )
        assert scores.log_probs is not None
        assert_close(scores.log_probs, expected[:, step])
