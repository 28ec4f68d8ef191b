"""Prompts read at once, against the same tokens read one after another."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pegasus_runtime.bundle import Bundle, open_bundle
from pegasus_runtime.sessions.ort.engine import OrtEngine
from pegasus_runtime.sessions.ort.prefill import OrtPrefill

TOLERANCE = 2e-4
PROMPTS = [[(7 * row + 11 * place) % 180 + 2 for place in range(70)] for row in range(3)]


@pytest.fixture(scope="module")
def causal(tiny_bundle: Callable[..., Path]) -> Bundle:
    return open_bundle(tiny_bundle("PegasusForCausalLM"))


@pytest.mark.parametrize(("length", "run_tokens"), [(1, 512), (70, 512), (70, 7), (70, 69)])
def test_keys_are_those_of_steps(causal: Bundle, length: int, run_tokens: int) -> None:
    prompts = [prompt[:length] for prompt in PROMPTS]
    read = OrtPrefill(causal, threads=1, run_tokens=run_tokens).read(prompts)
    decoding = OrtEngine(causal, threads=1).start(
        [[] for _ in prompts], rows_per_document=1, max_length=length
    )
    for place in range(length):
        tokens = np.array([prompt[place] for prompt in prompts])
        parents = None if place == 0 else np.zeros((len(prompts), 1), np.int64)
        decoding.step(tokens, parents, num_candidates=1, full=False)
    assert set(read) == set(decoding.cache.arrays)
    for name, array in read.items():
        expected = decoding.cache.arrays[name][:, :, :length]
        np.testing.assert_allclose(array, expected, rtol=0, atol=TOLERANCE)


def test_no_more_room_is_made_than_rows_take(causal: Bundle) -> None:
    engine = OrtEngine(causal, threads=1)
    decoding = engine.start([PROMPTS[0][:66]], rows_per_document=2, max_length=67)
    assert (decoding.cache.length, decoding.cache.capacity) == (65, 67)
