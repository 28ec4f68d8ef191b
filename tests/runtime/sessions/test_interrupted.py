"""Every run of ONNX Runtime ends when it is interrupted, whichever engine and graph it is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.errors import EngineError, GenerationInterrupted
from pegasus_runtime.sessions.open_engine import open_engine
from pegasus_runtime.sessions.ort.features import OrtFeatures
from pegasus_runtime.sessions.ort.model import OrtModel

TinyBundle = Callable[..., Path]
SOURCE = [110, 120, 130, 1]
KINDS = {
    "ort": ("PegasusForConditionalGeneration", "ort"),
    "bigbird": ("BigBirdPegasusForConditionalGeneration", "ort"),
    "prompts": ("PegasusForCausalLM", "ort"),
    "device": ("PegasusForConditionalGeneration", "trt-rtx"),
}


class EndsRun(Interrupt):
    """Ends the run of this number before it has done anything, and none before."""

    def __init__(self, number: int) -> None:
        super().__init__(lambda: None)
        self.left = number

    @contextmanager
    def ending(self, terminate: Callable[[], None]) -> Iterator[None]:
        if self.left:
            self.left -= 1
            yield
            return
        terminate()
        with pytest.raises(EngineError, match="terminate flag"):
            yield
        raise GenerationInterrupted("generation was cancelled")


@pytest.fixture(scope="module", params=KINDS)
def engine(request: pytest.FixtureRequest, tiny_bundle: TinyBundle) -> Engine:
    bundle = open_bundle(tiny_bundle(*KINDS[request.param]))
    return open_engine(bundle, provider="cpu", threads=1)


def decode(engine: Engine, interrupt: Interrupt | None) -> list[int]:
    """The best tokens of three steps."""
    decoding = engine.start([SOURCE] * 2, rows_per_document=1, max_length=8, interrupt=interrupt)
    found, tokens, parents = [], np.array([SOURCE[-1]] * 2), None
    for _ in range(3):
        scores = decoding.step(tokens, parents, num_candidates=2, full=False)
        tokens, parents = scores.top_ids[:, 0].copy(), np.zeros((2, 1), np.int64)
        found.append(int(tokens[0]))
    return found


@pytest.mark.parametrize("number", [0, 1, 2, 3], ids=["first", "second", "third", "fourth"])
def test_encoder_prompt_and_steps_are_ended_and_the_engine_is_as_it_was(
    engine: Engine, number: int
) -> None:
    right = decode(engine, None)
    with pytest.raises(GenerationInterrupted, match="cancelled"):
        decode(engine, EndsRun(number))
    assert decode(engine, EndsRun(99)) == right


def test_models_of_one_graph_are_ended(tiny_bundle: TinyBundle) -> None:
    questions = open_bundle(tiny_bundle("BigBirdPegasusForQuestionAnswering"))
    head = OrtModel(questions, ["start_logits"], threads=1)
    features = OrtFeatures(open_bundle(tiny_bundle("PegasusModel")), threads=1)
    runs = [
        lambda interrupt: head.run([SOURCE], interrupt=interrupt),
        lambda interrupt: features.run([SOURCE], [SOURCE], interrupt=interrupt),
    ]
    for run in runs:
        (before,) = run(None)
        with pytest.raises(GenerationInterrupted, match="cancelled"):
            list(run(EndsRun(0)))
        (after,) = run(EndsRun(1))
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)
