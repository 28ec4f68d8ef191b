"""ONNX Runtime's operators against their eager meaning, and that against plain loops."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporter.dialects.test_standard import plain_attention, plain_heads
from exporter.tolerances import assert_close
from exporter.traced_module import TracedModule
from pegasus_export.dialects import ort, standard
from pegasus_export.graphs.definition import GraphInput, integers

HEADS, HEAD_DIM = 2, 8
D_MODEL = HEADS * HEAD_DIM
MICROSOFT = "com.microsoft"


class _SourceAttention(nn.Module):
    """Encoder self-attention, and cross-attention with beams as queries."""

    def forward(self, hidden: Tensor, query: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        padded = ort.attend_padded(hidden, hidden, 2 * hidden, mask, HEADS)
        keys = standard.split_heads(hidden, HEADS)
        return padded, ort.attend_source(query, keys, 2 * keys, mask, HEADS)


@pytest.fixture(scope="module")
def source_attention() -> TracedModule:
    sizes = {"batch": 2, "source": 5}
    source, beams = {0: "batch", 1: "source"}, {0: "batch", 1: "beams"}
    inputs = [
        GraphInput(name="hidden", example=torch.zeros(2, 5, D_MODEL), dynamic=source),
        GraphInput(name="query", example=torch.zeros(2, 3, D_MODEL), dynamic=beams),
        integers("mask", ("batch", "source"), sizes),
    ]
    outputs = {"padded": ("batch", "source", D_MODEL), "crossed": ("batch", "beams", D_MODEL)}
    return TracedModule(_SourceAttention(), inputs, outputs)


@pytest.mark.parametrize(
    ("batch", "source", "beams"), [(1, 1, 1), (1, 1, 3), (2, 5, 3), (3, 8, 1), (2, 40, 8)]
)
def test_attention_over_the_source_is_the_standard_one(
    source_attention: TracedModule, batch: int, source: int, beams: int
) -> None:
    assert (MICROSOFT, "MultiHeadAttention") in source_attention.operators
    hidden = torch.randn(batch, source, D_MODEL)
    query = torch.randn(batch, beams, D_MODEL)
    mask = torch.ones(batch, source, dtype=torch.int64)
    for row in range(1, batch):
        mask[row, source - 2 * row :] = 0
    padded, crossed = source_attention.run(hidden, query, mask)
    assert_close(padded, standard.attend_padded(hidden, hidden, 2 * hidden, mask, HEADS))
    keys = standard.split_heads(hidden, HEADS)
    assert_close(crossed, standard.attend_source(query, keys, 2 * keys, mask, HEADS))
    eager = source_attention.run_eagerly(hidden, query, mask)
    assert_close(padded, eager[0])
    assert_close(crossed, eager[1])


class _CachedAttention(nn.Module):
    """One step over the cache: the inputs of a decoder's self-attention, one by one."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        past_key: Tensor,
        past_value: Tensor,
        position: Tensor,
        indirection: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        beam_width = torch.full((1,), indirection.shape[1], dtype=torch.int32)
        cache = ort.BeamCache(
            key=past_key,
            value=past_value,
            length=position,
            beam_width=beam_width,
            indirection=indirection,
        )
        return ort.attend_with_cache(query, key, value, cache, HEADS)


@pytest.fixture(scope="module")
def cached_attention() -> TracedModule:
    rows, cached = {0: "rows"}, {0: "rows", 2: "time"}
    cache = (6, HEADS, 7, HEAD_DIM)
    indirection = torch.zeros(2, 3, 7, dtype=torch.int32)
    names = {0: "batch", 1: "beams", 2: "time"}
    inputs = [
        *(
            GraphInput(name=name, example=torch.zeros(6, D_MODEL), dynamic=rows)
            for name in ("query", "key", "value")
        ),
        GraphInput(name="past_key", example=torch.zeros(cache), dynamic=cached),
        GraphInput(name="past_value", example=torch.zeros(cache), dynamic=cached),
        GraphInput(name="position", example=torch.ones(1, dtype=torch.int32), dynamic={}),
        GraphInput(name="indirection", example=indirection, dynamic=names),
    ]
    shape = ("rows", HEADS, "time", HEAD_DIM)
    outputs = {"attended": ("rows", D_MODEL), "present_key": shape, "present_value": shape}
    return TracedModule(_CachedAttention(), inputs, outputs)


def _step(batch: int, beams: int, time: int, position: int) -> tuple[Tensor, ...]:
    """Random inputs of one step, whose beams come from anywhere in their document."""
    rows = batch * beams
    own = torch.randn(3, rows, D_MODEL)
    cache = torch.randn(2, rows, HEADS, time, HEAD_DIM)
    indirection = torch.randint(0, beams, (batch, beams, time), dtype=torch.int32)
    indirection[:, :, position] = torch.arange(beams)  # a step's own token lies in its own row
    at = torch.tensor([position], dtype=torch.int32)
    return (*own, *cache, at, indirection)


STEPS = [(1, 1, 1, 0), (1, 1, 4, 2), (2, 3, 6, 5), (2, 3, 6, 0), (3, 1, 5, 4), (1, 8, 9, 3)]


@pytest.mark.parametrize(("batch", "beams", "time", "position"), STEPS)
def test_each_beam_attends_to_the_rows_its_indirection_names(
    batch: int, beams: int, time: int, position: int
) -> None:
    query, key, value, past_key, past_value, at, indirection = _step(batch, beams, time, position)
    attended, new_key, new_value = _CachedAttention()(
        query, key, value, past_key, past_value, at, indirection
    )
    for row in range(batch * beams):
        document, beam = divmod(row, beams)
        assert torch.equal(new_key[row, :, position].flatten(), key[row])
        assert torch.equal(new_value[row, :, position].flatten(), value[row])
        sources = [
            document * beams + int(indirection[document, beam, t]) for t in range(position)
        ] + [row]
        keys = torch.stack([new_key[source, :, t] for t, source in enumerate(sources)], dim=1)
        values = torch.stack([new_value[source, :, t] for t, source in enumerate(sources)], dim=1)
        visible = torch.ones(1, position + 1, dtype=torch.bool)
        expected = plain_attention(plain_heads(query[row][None], HEADS), keys, values, visible)
        assert_close(attended[row], np.concatenate(list(expected), axis=1)[0])


@pytest.mark.parametrize(("batch", "beams", "time", "position"), STEPS)
def test_the_cache_operator_does_the_same(
    cached_attention: TracedModule, batch: int, beams: int, time: int, position: int
) -> None:
    assert (MICROSOFT, "DecoderMaskedMultiHeadAttention") in cached_attention.operators
    feeds = _step(batch, beams, time, position)
    expected = cached_attention.run_eagerly(*feeds)
    got = cached_attention.run(*feeds)
    assert_close(got[0], expected[0])
    for present, wanted in zip(got[1:], expected[1:], strict=True):
        assert_close(present[:, :, : position + 1], wanted[:, :, : position + 1])


class _Selection(nn.Module):
    def forward(self, log_probs: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
        return ort.select_candidates(log_probs, count)


def test_candidates_are_the_best_in_order() -> None:
    inputs = [
        GraphInput(name="log_probs", example=torch.zeros(6, 11), dynamic={0: "rows"}),
        GraphInput(name="count", example=torch.tensor([4]), dynamic={}),
    ]
    shape = ("rows", "candidates")
    traced = TracedModule(_Selection(), inputs, {"scores": shape, "ids": shape})
    assert traced.operators == {("", "TopK")}
    for rows, count in [(1, 1), (4, 2), (3, 11)]:
        log_probs = torch.randn(rows, 11)
        feeds = (log_probs, torch.tensor([count]))
        best = np.argsort(-log_probs.numpy(), axis=1)[:, :count]
        for scores, ids in (traced.run(*feeds), traced.run_eagerly(*feeds)):
            np.testing.assert_array_equal(ids, best)
            np.testing.assert_array_equal(
                scores, np.take_along_axis(log_probs.numpy(), best, axis=1)
            )
