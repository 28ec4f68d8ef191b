"""What generate.onnx is made of: an encoder, and a decoder step whose cache grows.

encoder  input_ids, attention_mask [B, S] -> cross_key.{l}, cross_value.{l} [B, H, S, Dh]
step     one token per row [N, 1], its position, the cross keys once per document, keys and values
         of P tokens before it [N, H, P, Dh] -> logits [N, V], those of all P + 1

The states of an ONNX Loop are values: what a step appends is a copy, whichever operator does it.
So the cache is concatenated here, and beams that change places take their rows along. (In a Loop
DecoderMaskedMultiHeadAttention is right, too, and copies all of its preallocated cache: measured.)

Dimensions: B batch, K beams, N = B*K rows, S source, P past, H heads, Dh head dim, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pegasus_export.dialects import ort, standard
from pegasus_export.dialects.block_sparse_nodes import STANDARD, AttentionNodes
from pegasus_export.dialects.ort_block_sparse import ORT
from pegasus_export.graphs import whole
from pegasus_export.graphs.cross_encoder import CrossEncoderGraph
from pegasus_export.graphs.definition import GraphDefinition, GraphInput, integers
from pegasus_export.graphs.sparse_attention import sparse_attention
from pegasus_export.models.pegasus import Pegasus

__all__ = ["CONTRIB", "ENCODER", "SHARED_ENCODER", "STEP", "STOCK", "Spelling", "generation_parts"]

ENCODER = "generate.encoder"
SHARED_ENCODER = "encoder"
"""Of target `ort`, which is the same."""
STEP = "generate.step"
_SIZES = {"batch": 2, "rows": 6, "source": 5, "past": 7}

AttendGrowing = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, ...]]
"""query, key, value [N, D], past keys and values [N, H, P, Dh], heads -> [N, D], those of P + 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """A dialect of the whole graph."""

    attend_padded: whole.AttendPadded
    attend_source: whole.AttendPadded
    """Of beams over their document: query [B, K, D], key and value [B, H, S, Dh], mask [B, S]."""
    attend_growing: AttendGrowing
    sparse: AttentionNodes


STOCK = Spelling(
    attend_padded=standard.attend_padded,
    attend_source=standard.attend_source,
    attend_growing=standard.attend_growing,
    sparse=STANDARD,
)
"""Operators of ONNX alone."""
CONTRIB = Spelling(
    attend_padded=ort.attend_padded,
    attend_source=ort.attend_source,
    attend_growing=ort.attend_growing,
    sparse=ORT,
)
"""With those of ONNX Runtime."""


class GrowingStepGraph(nn.Module):
    """One token for every row, after P others."""

    def __init__(self, pegasus: Pegasus, spelling: Spelling) -> None:
        super().__init__()
        self.pegasus = pegasus
        self.spelling = spelling

    def forward(
        self,
        input_ids: Tensor,
        position: Tensor,
        attention_mask: Tensor,
        cross_keys: list[Tensor],
        cross_values: list[Tensor],
        past_keys: list[Tensor],
        past_values: list[Tensor],
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        heads = self.pegasus.config.decoder_attention_heads
        batch = attention_mask.shape[0]
        keys, values = list(past_keys), list(past_values)

        def self_attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            attended, keys[layer], values[layer] = self.spelling.attend_growing(
                query, key, value, keys[layer], values[layer], heads
            )
            return attended

        def cross_attend(layer: int, query: Tensor) -> Tensor:
            queries = query.reshape(batch, -1, query.shape[1])  # [B*K, D] -> [B, K, D]
            attended = self.spelling.attend_source(
                queries, cross_keys[layer], cross_values[layer], attention_mask, heads
            )
            return attended.reshape(query.shape)  # [B, K, D] -> [B*K, D]

        hidden = self.pegasus.decode(input_ids, position, self_attend, cross_attend)
        return self.pegasus.logits(hidden), keys, values


def generation_parts(pegasus: Pegasus, spelling: Spelling) -> list[GraphDefinition]:
    """Encoder and step, to be composed; in ONNX Runtime's operators the step alone."""
    source = ("batch", "source")
    sizes = _SIZES | {"source": whole.trace_length(pegasus)}
    cross_keys = _per_layer(pegasus, "cross_key", "batch", "source")
    cross_values = _per_layer(pegasus, "cross_value", "batch", "source")
    encoder = GraphDefinition(
        name=ENCODER,
        module=CrossEncoderGraph(pegasus, spelling.attend_padded),
        arguments=(
            integers("input_ids", source, sizes),
            integers("attention_mask", source, sizes),
        ),
        outputs={x.name: x.shape for x in cross_keys + cross_values},
        attention=sparse_attention(pegasus, spelling.sparse),
    )
    present = [
        *_per_layer(pegasus, "present_key", "rows", "past + 1"),
        *_per_layer(pegasus, "present_value", "rows", "past + 1"),
    ]
    tokens = torch.ones(_SIZES["rows"], 1, dtype=torch.int64)
    step = GraphDefinition(
        name=STEP,
        module=GrowingStepGraph(pegasus, spelling),
        arguments=(
            GraphInput(name="input_ids", example=tokens, dynamic={0: "rows"}),
            GraphInput(name="position", example=torch.tensor([3]), dynamic={}),
            integers("attention_mask", source, _SIZES),
            cross_keys,
            cross_values,
            _per_layer(pegasus, "past_key", "rows", "past"),
            _per_layer(pegasus, "past_value", "rows", "past"),
        ),
        outputs={
            "logits": ("rows", pegasus.config.vocab_size),
            **{x.name: x.shape for x in present},
        },
    )
    return [step] if spelling is CONTRIB else [encoder, step]


def _per_layer(pegasus: Pegasus, name: str, rows: str, length: str) -> list[GraphInput]:
    """Keys or values of every decoder layer, [rows, H, length, Dh] float32."""
    heads = pegasus.config.decoder_attention_heads
    sizes = _SIZES | {"past + 1": _SIZES["past"] + 1}
    shape = (sizes[rows], heads, sizes[length], pegasus.config.d_model // heads)
    return [
        GraphInput(name=f"{name}.{layer}", example=torch.zeros(shape), dynamic={0: rows, 2: length})
        for layer in range(pegasus.config.decoder_layers)
    ]
