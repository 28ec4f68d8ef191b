"""Attention in standard operators: against loops in NumPy, and through ONNX Runtime."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from exporter.tolerances import assert_close
from exporter.traced_module import TracedModule
from pegasus_export.dialects import standard
from pegasus_export.graphs.definition import GraphInput, integers

HEADS, D_MODEL = 2, 12
Float64 = npt.NDArray[np.float64]


def plain_attention(query: Tensor, key: Tensor, value: Tensor, visible: Tensor) -> Float64:
    """query [H, Q, Dh], key and value [H, S, Dh], visible [Q, S] bool -> [H, Q, Dh], by loops."""
    q, k, v = (np.asarray(x, np.float64) for x in (query, key, value))
    result = np.zeros_like(q)
    for head in range(len(q)):
        for row in range(q.shape[1]):
            seen = np.flatnonzero(visible[row].numpy())
            scores = np.array([q[head, row] @ k[head, s] for s in seen]) / np.sqrt(q.shape[2])
            weights = np.exp(scores - scores.max())
            result[head, row] = (weights / weights.sum()) @ v[head, seen]
    return result


def plain_heads(hidden: Tensor, num_heads: int) -> Tensor:
    """[T, D] -> [H, T, Dh]: head h is the h-th slice of the channels."""
    return torch.stack(hidden.chunk(num_heads, dim=1))


@pytest.mark.parametrize(("batch", "queries", "keys"), [(1, 1, 1), (2, 3, 5), (3, 1, 7)])
def test_padded_attention_sees_what_the_mask_leaves(batch: int, queries: int, keys: int) -> None:
    query = torch.randn(batch, queries, D_MODEL)
    key, value = torch.randn(2, batch, keys, D_MODEL)
    mask = torch.ones(batch, keys, dtype=torch.int64)
    for row in range(1, batch):
        mask[row, -row:] = 0
    got = standard.attend_padded(query, key, value, mask, HEADS)
    for row in range(batch):
        heads = [plain_heads(x[row], HEADS) for x in (query, key, value)]
        visible = mask[row].bool().expand(queries, keys)
        expected = plain_attention(heads[0], heads[1], heads[2], visible)
        assert_close(got[row], np.concatenate(list(expected), axis=1))


def test_the_bias_is_added_before_the_softmax() -> None:
    query, key, value = torch.randn(3, 1, 1, 4, 6)
    bias = torch.randn(4, 4)
    weights = torch.softmax(query[0, 0] @ key[0, 0].T / 6**0.5 + bias, dim=-1)
    assert_close(standard.attend(query, key, value, bias)[0, 0], weights @ value[0, 0])


def test_heads_are_slices_of_the_channels_and_merge_again() -> None:
    hidden = torch.randn(2, 5, D_MODEL)
    heads = standard.split_heads(hidden, 3)
    assert heads.shape == (2, 3, 5, 4)
    assert torch.equal(heads[1, 2], hidden[1, :, 8:])
    assert torch.equal(standard.merge_heads(heads), hidden)


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (3, 3), (1, 4), (2, 5)])
def test_a_query_does_not_see_later_keys(queries: int, keys: int) -> None:
    bias = standard.causal_bias(queries, keys)
    for row in range(queries):
        for column in range(keys):
            hidden = column > keys - queries + row
            assert bias[row, column] == (torch.finfo(torch.float32).min if hidden else 0.0)


def test_padding_is_hidden_and_tokens_are_not() -> None:
    bias = standard.padding_bias(torch.tensor([[1, 1, 0]]))
    assert bias.shape == (1, 1, 1, 3)
    assert bias.flatten().tolist() == [0.0, 0.0, torch.finfo(torch.float32).min]


class _Attention(nn.Module):
    """Padded attention, and causal attention over the last queries."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        padded = standard.attend_padded(query, key, value, mask, HEADS)
        bias = standard.causal_bias(query.shape[1], key.shape[1])
        bias = torch.minimum(bias, standard.padding_bias(mask))
        heads = [standard.split_heads(x, HEADS) for x in (query, key, value)]
        attended = standard.attend(heads[0], heads[1], heads[2], bias)
        return padded, standard.merge_heads(attended)


def test_the_graph_has_standard_operators_and_the_eager_values() -> None:
    sizes = {"batch": 2, "queries": 3, "keys": 5}
    queries, keys = {0: "batch", 1: "queries"}, {0: "batch", 1: "keys"}
    inputs = [
        GraphInput(name="query", example=torch.zeros(2, 3, D_MODEL), dynamic=queries),
        GraphInput(name="key", example=torch.zeros(2, 5, D_MODEL), dynamic=keys),
        GraphInput(name="value", example=torch.zeros(2, 5, D_MODEL), dynamic=keys),
        integers("mask", ("batch", "keys"), sizes),
    ]
    shape = ("batch", "queries", D_MODEL)
    traced = TracedModule(_Attention(), inputs, {"padded": shape, "causal": shape})
    assert {domain for domain, _ in traced.operators} == {""}
    for batch, num_queries, num_keys in [(1, 1, 1), (2, 3, 4), (1, 5, 5), (3, 1, 9)]:
        key, value = torch.randn(2, batch, num_keys, D_MODEL)
        mask = torch.ones(batch, num_keys, dtype=torch.int64)
        mask[1:, -1] = 0
        feeds = (torch.randn(batch, num_queries, D_MODEL), key, value, mask)
        for got, expected in zip(traced.run(*feeds), traced.run_eagerly(*feeds), strict=True):
            assert_close(got, expected)
