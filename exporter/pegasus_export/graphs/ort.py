"""The graphs of target `ort`: encoder to cross-attention keys, and a decoder step over beams.

encoder        input_ids, attention_mask [B, S] -> cross_key.{l}, cross_value.{l} [B, H, S, Dh]
decoder_step   one token per row [B*K, 1], its position, the cross keys once per document, the
               self-attention cache (written in place) and cache_indirection [B, K, T]
               -> top_scores, top_ids [B*K, C], log_probs [B*K, V], log_normalizer [B*K, 1]

`log_probs` is for search options that need every token's score. `log_normalizer` turns it back
into logits, on which Hugging Face's greedy search and sampling apply their penalties.
A PegasusForCausalLM has a decoder_step without anything that concerns a source, and

prefill        tokens that nobody chooses, as a prompt's: input_ids [B, N], keys and values of P
               tokens before them [B, H, P, Dh] -> those of all P + N, last_hidden_state [B, N, D]

Nobody needs the last hidden states but the checks: with them, each layer is whole in both graphs.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pegasus_export.dialects import ort
from pegasus_export.dialects.ort_block_sparse import ORT
from pegasus_export.graphs import whole
from pegasus_export.graphs.cross_encoder import CrossEncoderGraph
from pegasus_export.graphs.definition import GraphDefinition, GraphInput, Shape, integers
from pegasus_export.graphs.sparse_attention import sparse_attention
from pegasus_export.models.pegasus import CrossAttend, Pegasus

__all__ = ["causal_graphs", "seq2seq_graphs"]

_SIZES = {"batch": 2, "beams": 3, "rows": 6, "source": 5, "time": 7, "past": 7, "new": 3}
_SIZES |= {"past + new": 10}
_INDIRECTION = ("batch", "beams", "time")


class StepInputs(NamedTuple):
    """What every decoder step takes, with or without a source."""

    input_ids: Tensor
    """[B*K, 1] int64: the token each row ended with."""
    position: Tensor
    """[1] int32: its position, which is also the length of the cache."""
    num_candidates: Tensor
    """[1] int64: C."""
    cache_indirection: Tensor
    """[B, K, T] int32."""
    past_self_keys: list[Tensor]
    """L of [B*K, H, T, Dh] float32."""
    past_self_values: list[Tensor]
    """L of [B*K, H, T, Dh] float32."""


StepOutputs = tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor], list[Tensor]]


class DecoderStepGraph(nn.Module):
    """One token for every beam of every document, over the cache and the source."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self,
        input_ids: Tensor,
        position: Tensor,
        num_candidates: Tensor,
        cache_indirection: Tensor,
        past_self_keys: list[Tensor],
        past_self_values: list[Tensor],
        attention_mask: Tensor,
        cross_keys: list[Tensor],
        cross_values: list[Tensor],
    ) -> StepOutputs:
        batch, beams = cache_indirection.shape[:2]
        heads = self.pegasus.config.decoder_attention_heads
        inputs = StepInputs(
            input_ids, position, num_candidates, cache_indirection, past_self_keys, past_self_values
        )

        def cross_attend(layer: int, query: Tensor) -> Tensor:
            queries = query.reshape(batch, beams, -1)  # [B*K, D] -> [B, K, D]
            attended = ort.attend_source(
                queries, cross_keys[layer], cross_values[layer], attention_mask, heads
            )
            return attended.flatten(0, 1)  # [B, K, D] -> [B*K, D]

        return _decode_step(self.pegasus, inputs, cross_attend)


class CausalStepGraph(nn.Module):
    """The decoder step of a decoder without a source (PegasusForCausalLM)."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self,
        input_ids: Tensor,
        position: Tensor,
        num_candidates: Tensor,
        cache_indirection: Tensor,
        past_self_keys: list[Tensor],
        past_self_values: list[Tensor],
    ) -> StepOutputs:
        inputs = StepInputs(
            input_ids, position, num_candidates, cache_indirection, past_self_keys, past_self_values
        )
        return _decode_step(self.pegasus, inputs, None)


class PrefillGraph(nn.Module):
    """Tokens [B, N] after P others, without scores of what may follow."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self, input_ids: Tensor, past_self_keys: list[Tensor], past_self_values: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor], Tensor]:
        past = whole.SelfKeys(keys=past_self_keys, values=past_self_values)
        hidden, present = whole.decode(self.pegasus, input_ids, None, past)
        return present.keys, present.values, hidden


def seq2seq_graphs(pegasus: Pegasus) -> list[GraphDefinition]:
    """Encoder and decoder step of a PegasusForConditionalGeneration."""
    source = ("batch", "source")
    cross_keys = _per_layer(pegasus, "cross_key", ("batch", "source"))
    cross_values = _per_layer(pegasus, "cross_value", ("batch", "source"))
    encoder = GraphDefinition(
        name="encoder",
        module=CrossEncoderGraph(pegasus, ort.attend_padded),
        arguments=(
            integers("input_ids", source, _SIZES),
            integers("attention_mask", source, _SIZES),
        ),
        outputs={x.name: x.shape for x in cross_keys + cross_values},
        attention=sparse_attention(pegasus, ORT),
    )
    step = GraphDefinition(
        name="decoder_step",
        module=DecoderStepGraph(pegasus),
        arguments=(
            *_step_arguments(pegasus),
            integers("attention_mask", source, _SIZES),
            cross_keys,
            cross_values,
        ),
        outputs=_step_outputs(pegasus),
    )
    return [encoder, step]


def causal_graphs(pegasus: Pegasus) -> list[GraphDefinition]:
    """Prefill and decoder step of a PegasusForCausalLM."""
    present = [
        *_per_layer(pegasus, "present_self_key", ("batch", "past + new")),
        *_per_layer(pegasus, "present_self_value", ("batch", "past + new")),
    ]
    prefill = GraphDefinition(
        name="prefill",
        module=PrefillGraph(pegasus),
        arguments=(
            integers("input_ids", ("batch", "new"), _SIZES),
            _per_layer(pegasus, "past_self_key", ("batch", "past")),
            _per_layer(pegasus, "past_self_value", ("batch", "past")),
        ),
        outputs={
            **{x.name: x.shape for x in present},
            "last_hidden_state": ("batch", "new", pegasus.config.d_model),
        },
    )
    step = GraphDefinition(
        name="decoder_step",
        module=CausalStepGraph(pegasus),
        arguments=_step_arguments(pegasus),
        outputs=_step_outputs(pegasus),
    )
    return [prefill, step]


def _decode_step(
    pegasus: Pegasus,
    inputs: StepInputs,
    cross_attend: CrossAttend | None,
) -> StepOutputs:
    """One decoder step -> top scores, top ids, log-probs, log-normaliser, new keys, new values."""
    heads = pegasus.config.decoder_attention_heads
    keys, values = list(inputs.past_self_keys), list(inputs.past_self_values)
    beam_width = torch.full((1,), inputs.cache_indirection.shape[1], dtype=torch.int32)

    def self_attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        cache = ort.BeamCache(
            key=keys[layer],
            value=values[layer],
            length=inputs.position,
            beam_width=beam_width,
            indirection=inputs.cache_indirection,
        )
        attended, keys[layer], values[layer] = ort.attend_with_cache(
            query, key, value, cache, heads
        )
        return attended

    hidden = pegasus.decode(inputs.input_ids, inputs.position, self_attend, cross_attend)
    logits = pegasus.logits(hidden)  # [B*K, V]
    log_probs = torch.log_softmax(logits, dim=-1)
    log_normalizer = logits[:, :1] - log_probs[:, :1]  # any column tells
    top_scores, top_ids = ort.select_candidates(log_probs, inputs.num_candidates)
    return top_scores, top_ids, log_probs, log_normalizer, keys, values


def _per_layer(pegasus: Pegasus, name: str, dims: tuple[str, str]) -> list[GraphInput]:
    """Keys or values of every decoder layer, [dims[0], H, dims[1], Dh] float32."""
    heads = pegasus.config.decoder_attention_heads
    shape = (_SIZES[dims[0]], heads, _SIZES[dims[1]], pegasus.config.d_model // heads)
    dynamic = {0: dims[0], 2: dims[1]}
    return [
        GraphInput(name=f"{name}.{layer}", example=torch.zeros(shape), dynamic=dynamic)
        for layer in range(pegasus.config.decoder_layers)
    ]


def _step_arguments(pegasus: Pegasus) -> tuple[GraphInput | list[GraphInput], ...]:
    tokens = torch.ones(_SIZES["rows"], 1, dtype=torch.int64)
    indirection = torch.zeros(*(_SIZES[x] for x in _INDIRECTION), dtype=torch.int32)
    return (
        GraphInput(name="input_ids", example=tokens, dynamic={0: "rows"}),
        GraphInput(name="position", example=torch.tensor([3], dtype=torch.int32), dynamic={}),
        GraphInput(name="num_candidates", example=torch.tensor([4]), dynamic={}),
        GraphInput(
            name="cache_indirection", example=indirection, dynamic=dict(enumerate(_INDIRECTION))
        ),
        _per_layer(pegasus, "past_self_key", ("rows", "time")),
        _per_layer(pegasus, "past_self_value", ("rows", "time")),
    )


def _step_outputs(pegasus: Pegasus) -> dict[str, Shape]:
    present = [
        *_per_layer(pegasus, "present_self_key", ("rows", "time")),
        *_per_layer(pegasus, "present_self_value", ("rows", "time")),
    ]
    return {
        "top_scores": ("rows", "candidates"),
        "top_ids": ("rows", "candidates"),
        "log_probs": ("rows", pegasus.config.vocab_size),
        "log_normalizer": ("rows", 1),
        **{x.name: x.shape for x in present},
    }
