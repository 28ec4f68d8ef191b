"""The graphs of targets `trt` and `trt-rtx`: plain operators, made for fixed shapes.

encoder        input_ids, attention_mask [B, S] -> cross_key.{l}, cross_value.{l} [B, H, S, Dh]
decoder_step   one token per beam [B, K], its position, cache_indirection [B, K, T] (see
               dialects/trt.py), the cross keys once per document, the self-attention cache
               [B, H, T, K, Dh] -> top_scores, top_ids [B*K, C], log_probs [B*K, V],
               log_normalizer [B*K, 1], new_self [2*L, B, H, K, Dh]: keys of all layers, then values

C is a constant, as TensorRT wants it: a step that needs more candidates takes `log_probs`.
A block-sparse encoder reads sources of whole blocks, three or more, and is told which of them its
blocks see (dialects/trt.py): seen_blocks, seen_bias [M, K]; of a seeded pattern last_random [1].
With the plugin (dialects/trt_plugin.py) it has no such inputs, and reads sources of any length.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from pegasus_export.dialects import standard, trt, trt_plugin
from pegasus_export.dialects.trt_block_sparse import TRT
from pegasus_export.graphs import whole
from pegasus_export.graphs.cross_encoder import CrossEncoderGraph
from pegasus_export.graphs.definition import GraphDefinition, GraphInput, Shape, integers
from pegasus_export.graphs.sparse_attention import sparse_attention
from pegasus_export.models.pegasus import Pegasus

__all__ = ["MORE_CANDIDATES", "num_candidates", "seq2seq_graphs"]

MORE_CANDIDATES = 16
"""Selected beyond what a beam search looks at, so that it can do without some that are banned."""

_SIZES = {"batch": 2, "beams": 3, "source": 5, "time": 7, "middle": 4, "seen": 6}


class SparseEncoderGraph(nn.Module):
    """The same, and what `dialects.trt.SeenBlocks` says."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        seen_blocks: Tensor,
        seen_bias: Tensor,
        last_random: Tensor | None = None,
    ) -> tuple[list[Tensor], ...]:
        seen = trt.SeenBlocks(blocks=seen_blocks, bias=seen_bias, last_random=last_random)
        encoded = whole.encode(
            self.pegasus,
            input_ids,
            attention_mask,
            attend_sparse=partial(trt.attend_seen_blocks, seen=seen),
        )
        cross = whole.cross_keys(self.pegasus, encoded, attention_mask)
        return list(cross.keys), list(cross.values)


class DecoderStepGraph(nn.Module):
    """One token for every beam of every document, over the cache and the source."""

    def __init__(self, pegasus: Pegasus, candidates: int) -> None:
        super().__init__()
        self.pegasus = pegasus
        self.candidates = candidates

    def forward(
        self,
        input_ids: Tensor,
        position: Tensor,
        cache_indirection: Tensor,
        past_self_keys: list[Tensor],
        past_self_values: list[Tensor],
        attention_mask: Tensor,
        cross_keys: list[Tensor],
        cross_values: list[Tensor],
    ) -> tuple[Tensor, ...]:
        heads = self.pegasus.config.decoder_attention_heads
        bias = trt.history_bias(cache_indirection)
        new_keys: list[Tensor] = []
        new_values: list[Tensor] = []

        def per_beam(flat: Tensor) -> Tensor:
            return whole.batched(flat, input_ids)  # [B*K, D] -> [B, K, D]

        def self_attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            cache = trt.BeamCache(
                key=past_self_keys[layer], value=past_self_values[layer], bias=bias
            )
            attended, new_key, new_value = trt.attend_with_cache(
                per_beam(query), per_beam(key), per_beam(value), cache, heads
            )
            new_keys.append(new_key)
            new_values.append(new_value)
            return attended.flatten(0, 1)

        def cross_attend(layer: int, query: Tensor) -> Tensor:
            keys, values = cross_keys[layer], cross_values[layer]
            attended = standard.attend_source(per_beam(query), keys, values, attention_mask, heads)
            return attended.flatten(0, 1)

        hidden = self.pegasus.decode(input_ids, position, self_attend, cross_attend)
        logits = self.pegasus.logits(hidden)  # [B*K, V]
        log_probs = torch.log_softmax(logits, dim=-1)
        log_normalizer = logits[:, :1] - log_probs[:, :1]  # any column tells
        top_scores, top_ids = torch.topk(log_probs, self.candidates)
        new_self = torch.stack([*new_keys, *new_values])
        return top_scores, top_ids, log_probs, log_normalizer, new_self


def num_candidates(pegasus: Pegasus, num_beams: int) -> int:
    """C: what a beam search with so many beams looks at, and some more."""
    config = pegasus.config
    looked_at = max(2, 1 + len(config.eos_token_ids)) * num_beams
    return min(looked_at + MORE_CANDIDATES, config.vocab_size)


def seq2seq_graphs(
    pegasus: Pegasus, *, num_beams: int, with_plugin: bool = False
) -> list[GraphDefinition]:
    """Encoder, and decoder step for so many beams; with_plugin: of a block-sparse encoder."""
    candidates = num_candidates(pegasus, num_beams)
    return [_encoder(pegasus, with_plugin), _decoder_step(pegasus, candidates)]


def _encoder(pegasus: Pegasus, with_plugin: bool) -> GraphDefinition:
    source = ("batch", "source")
    attention = sparse_attention(pegasus, TRT)
    sizes = _SIZES | {"source": whole.trace_length(pegasus)}
    arguments = [
        integers("input_ids", source, sizes),
        integers("attention_mask", source, sizes),
    ]
    module: nn.Module = CrossEncoderGraph(pegasus, standard.attend_padded)
    if attention is not None and with_plugin:
        module = CrossEncoderGraph(pegasus, standard.attend_padded, trt_plugin.attend_with_plugin)
        attention = replace(attention, form="plugin")
    elif attention is not None:
        attention = replace(attention, form="given")
        module = SparseEncoderGraph(pegasus)
        seen = [_SIZES["middle"], _SIZES["seen"]]
        dynamic = {0: "middle", 1: "seen"}
        arguments += [
            integers("seen_blocks", ("middle", "seen"), _SIZES),
            GraphInput(name="seen_bias", example=torch.zeros(seen), dynamic=dynamic),
        ]
        if attention.pattern.random_blocks is not None:
            arguments.append(GraphInput(name="last_random", example=torch.tensor([0]), dynamic={}))
    return GraphDefinition(
        name="encoder",
        module=module,
        arguments=tuple(arguments),
        outputs={x.name: x.shape for x in _cross_keys(pegasus)},
        attention=attention,
    )


def _decoder_step(pegasus: Pegasus, candidates: int) -> GraphDefinition:
    config = pegasus.config
    rows = "batch*beams"
    outputs: dict[str, Shape] = {
        "top_scores": (rows, candidates),
        "top_ids": (rows, candidates),
        "log_probs": (rows, config.vocab_size),
        "log_normalizer": (rows, 1),
        "new_self": (
            2 * config.decoder_layers,
            "batch",
            config.decoder_attention_heads,
            "beams",
            config.d_model // config.decoder_attention_heads,
        ),
    }
    indirection = torch.zeros([_SIZES[x] for x in ("batch", "beams", "time")], dtype=torch.int32)
    cross = _cross_keys(pegasus)
    return GraphDefinition(
        name="decoder_step",
        module=DecoderStepGraph(pegasus, candidates),
        arguments=(
            integers("input_ids", ("batch", "beams"), _SIZES),
            GraphInput(name="position", example=torch.tensor([3]), dynamic={}),
            GraphInput(
                name="cache_indirection",
                example=indirection,
                dynamic=dict(enumerate(("batch", "beams", "time"))),
            ),
            _per_layer(pegasus, "past_self_key", {0: "batch", 2: "time", 3: "beams"}),
            _per_layer(pegasus, "past_self_value", {0: "batch", 2: "time", 3: "beams"}),
            integers("attention_mask", ("batch", "source"), _SIZES),
            cross[: config.decoder_layers],
            cross[config.decoder_layers :],
        ),
        outputs=outputs,
    )


def _cross_keys(pegasus: Pegasus) -> list[GraphInput]:
    """Keys of all decoder layers over the source, then values."""
    dynamic = {0: "batch", 2: "source"}
    return [
        *_per_layer(pegasus, "cross_key", dynamic),
        *_per_layer(pegasus, "cross_value", dynamic),
    ]


def _per_layer(pegasus: Pegasus, name: str, dynamic: dict[int, str]) -> list[GraphInput]:
    """Keys or values of every decoder layer: axis 1 is H, the last is Dh."""
    heads = pegasus.config.decoder_attention_heads
    shape = [
        _SIZES[dynamic[axis]] if axis in dynamic else heads for axis in range(len(dynamic) + 1)
    ]
    shape.append(pegasus.config.d_model // heads)
    return [
        GraphInput(name=f"{name}.{layer}", example=torch.zeros(shape), dynamic=dynamic)
        for layer in range(pegasus.config.decoder_layers)
    ]
