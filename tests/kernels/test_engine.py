"""Whole bundles with kernels: every step scores as in ONNX Runtime's own operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from kernels.library import Array
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.native import kernels
from pegasus_runtime.native.kernels import Kernels, NoKernels
from pegasus_runtime.sessions.ort.engine import OrtEngine

ROWS, BATCH = 3, 3
STEPS = 70
"""More than the cache has room for at first."""
ARCHITECTURES = (
    "PegasusForConditionalGeneration",
    "BigBirdPegasusForConditionalGeneration",
    "PegasusForCausalLM",
)
TOLERANCE = 5e-4
"""Of logarithms of probabilities in fp32."""

TinyBundle = Callable[..., Path]


@pytest.fixture(scope="module")
def installed(library: Path) -> Kernels:
    found = kernels._ask(library, "0")
    if isinstance(found, NoKernels):
        pytest.skip(str(found))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steps_in_fp32_score_as_without_kernels(
    tiny_bundle: TinyBundle, installed: Kernels, architecture: str
) -> None:
    found, stock = (
        _scores(tiny_bundle(architecture), each) for each in (installed, NoKernels(reason=""))
    )
    np.testing.assert_allclose(found, stock, rtol=0, atol=TOLERANCE)
    assert not np.array_equal(found, stock)  # as something else has run


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_steps_of_integers_are_as_near_to_fp32_as_without_kernels(
    tiny_bundle: TinyBundle, installed: Kernels, architecture: str, precision: str
) -> None:
    """A tiny network of random weights makes much of whatever is rounded otherwise: of bfloat16, a
    tenth more than of 8 bits alone."""
    exact = _scores(tiny_bundle(architecture), NoKernels(reason=""))
    folder = tiny_bundle(architecture, precision=precision)
    found, stock = (
        np.abs(_scores(folder, each) - exact).mean() for each in (installed, NoKernels(reason=""))
    )
    assert found != stock
    assert found <= 1.25 * stock


@contextmanager
def loading(found: Kernels | NoKernels) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(kernels.SWITCH, raising=False)
        patch.setattr(kernels, "_load", lambda: found)
        yield


def _scores(folder: Path, available: Kernels | NoKernels) -> Array:
    """Logarithms of probabilities, of each step's rows one after the other: beams change their
    histories, a document leaves, and a prompt was read at once."""
    bundle = open_bundle(folder)
    rng = np.random.default_rng(0)
    vocab_size = bundle.manifest.architecture.vocab_size
    length = 9 if "encoder" not in bundle.manifest.graphs else None  # prompts are of one length
    sources = [rng.integers(2, vocab_size, length or 5 + 40 * n).tolist() for n in range(BATCH)]
    with loading(available):
        engine = OrtEngine(bundle, threads=2)
        decoding = engine.start(sources, rows_per_document=ROWS, max_length=STEPS + 10)
    batch, found = BATCH, []
    for step in range(STEPS):
        rows = 1 if step == 0 else ROWS
        tokens = rng.integers(0, vocab_size, batch * rows)
        parents = rng.integers(0, 1 if step == 1 else ROWS, (batch, ROWS)) if step else None
        if step == 5:
            decoding.keep(np.array([2, 1]))
            batch, tokens, parents = 2, tokens[: 2 * ROWS], parents[:2]
        scores = decoding.step(tokens, parents, num_candidates=4, full=True)
        assert scores.log_probs is not None
        best = np.take_along_axis(scores.log_probs, scores.top_ids, axis=1)
        np.testing.assert_array_equal(best, scores.top_scores)
        found.append(scores.log_probs.copy())
    return np.concatenate(found)
