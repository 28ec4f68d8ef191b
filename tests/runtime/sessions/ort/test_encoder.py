"""Which documents the encoder takes together, and that this does not show in what it returns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.sessions.ort import encoder as encoder_module
from pegasus_runtime.sessions.ort.encoder import OrtEncoder, plan_chunks

LENGTHS = (6, 9, 9, 2, 1, 4)
TOLERANCE = 1e-4  # of fp32 keys and values of size 1 to 10


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_every_document_runs_once_in_order_and_many_only_within_the_limit(
    lengths: list[int],
) -> None:
    chunks = plan_chunks(lengths)
    assert [row for chunk in chunks for row in chunk] == list(range(len(lengths)))
    for chunk in chunks:
        padded = len(chunk) * max(lengths[row] for row in chunk)
        assert len(chunk) == 1 or padded <= 512


def test_short_neighbours_run_together_and_long_documents_alone() -> None:
    chunks = [list(chunk) for chunk in plan_chunks([512, 300, 256, 256, 10, 10])]
    assert chunks == [[0], [1], [2, 3], [4, 5]]


@pytest.mark.parametrize("chunk_tokens", [1, 12, 18])
def test_documents_get_the_same_whatever_runs_together(
    tiny_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, chunk_tokens: int
) -> None:
    encoder = OrtEncoder(open_bundle(tiny_bundle()), threads=1)
    rng = np.random.default_rng(0)
    sources = [rng.integers(1, 150, length).tolist() for length in LENGTHS]
    together = encoder.encode(sources)  # all of them fit into one run
    monkeypatch.setattr(encoder_module, "_CHUNK_TOKENS", chunk_tokens)
    apart = encoder.encode(sources)
    mask = apart["attention_mask"].array
    assert mask.sum(axis=1).tolist() == list(LENGTHS)
    for name in encoder.output_names:
        got, expected = apart[name].array, together[name].array
        assert got.shape == expected.shape
        is_token = np.broadcast_to(mask[:, None, :, None] == 1, got.shape)
        np.testing.assert_allclose(
            got[is_token], expected[is_token], atol=TOLERANCE, rtol=TOLERANCE
        )


def test_a_sparse_document_is_padded_to_whole_blocks(tiny_bundle: Callable[..., Path]) -> None:
    """Blocks of 4, sparse from 37 tokens on, at most 96."""
    bundle = open_bundle(tiny_bundle("BigBirdPegasusForConditionalGeneration"))
    encoder = OrtEncoder(bundle, threads=1)
    for length, width in [(35, 35), (36, 36), (37, 40), (40, 40), (93, 96), (96, 96)]:
        source = encoder.encode([[120] * length])
        mask = source["attention_mask"].array
        assert mask.shape == (1, width)
        assert mask.sum() == length
        assert all(source[name].array.shape[2] == width for name in encoder.output_names)


def test_padding_does_not_go_beyond_the_last_position(tiny_bundle: Callable[..., Path]) -> None:
    encoder = OrtEncoder(
        open_bundle(tiny_bundle("BigBirdPegasusForConditionalGeneration")), threads=1
    )
    encoder.max_tokens = 94
    masks = [encoder.encode([[120] * n])["attention_mask"].array for n in (92, 91, 93)]
    assert [mask.shape[1] for mask in masks] == [92, 92, 93]
