"""The graphs of target `onnx`: Optimum's files, inputs and outputs, in standard operators.

Names, order and symbolic dimensions are those of optimum-onnx 0.1.0, so that
`ORTModelForSeq2SeqLM` and `ORTModelForCausalLM` load the folder unchanged.
"""

import torch
from torch import Tensor, nn

from pegasus_export.dialects.block_sparse_nodes import STANDARD
from pegasus_export.graphs import whole
from pegasus_export.graphs.definition import GraphDefinition, GraphInput, Shape, integers
from pegasus_export.graphs.sparse_attention import sparse_attention
from pegasus_export.models.pegasus import Pegasus

__all__ = ["causal_graphs", "seq2seq_graphs"]

_BATCH = "batch_size"
_SOURCE = "encoder_sequence_length"
_TARGET = "decoder_sequence_length"
_PAST = "past_decoder_sequence_length"
_CAUSAL_TARGET = "sequence_length"
_CAUSAL_PAST = "past_sequence_length"
_SIZES = {_BATCH: 2, _SOURCE: 5, _TARGET: 3, _PAST: 7, _CAUSAL_TARGET: 3, _CAUSAL_PAST: 7}
_SIZES |= {f"{_CAUSAL_PAST} + {_CAUSAL_TARGET}": 10}


class EncoderModel(nn.Module):
    """input_ids, attention_mask [B, S] -> last_hidden_state [B, S, D]."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return whole.encode(self.pegasus, input_ids, attention_mask)


class DecoderModel(nn.Module):
    """The first call: the source's keys are made here, and handed out."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self, encoder_attention_mask: Tensor, input_ids: Tensor, encoder_hidden_states: Tensor
    ) -> list[Tensor]:
        cross = whole.cross_keys(self.pegasus, encoder_hidden_states, encoder_attention_mask)
        hidden, present = whole.decode(self.pegasus, input_ids, cross)
        outputs = [_logits(self.pegasus, hidden)]
        for layer in range(len(cross.keys)):
            outputs += [present.keys[layer], present.values[layer]]
            outputs += [cross.keys[layer], cross.values[layer]]
        return outputs


class DecoderWithPastModel(nn.Module):
    """Every later call: `past` holds self key, self value, cross key, cross value of each layer."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self, encoder_attention_mask: Tensor, input_ids: Tensor, past: list[Tensor]
    ) -> list[Tensor]:
        cross = whole.CrossKeys(
            keys=past[2::4], values=past[3::4], attention_mask=encoder_attention_mask
        )
        own = whole.SelfKeys(keys=past[0::4], values=past[1::4])
        hidden, present = whole.decode(self.pegasus, input_ids, cross, own)
        return [_logits(self.pegasus, hidden), *_interleaved(present)]


class CausalModel(nn.Module):
    """A decoder on its own, for first and later calls: `past` holds key, value of each layer."""

    def __init__(self, pegasus: Pegasus) -> None:
        super().__init__()
        self.pegasus = pegasus

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, past: list[Tensor]
    ) -> list[Tensor]:
        own = whole.SelfKeys(keys=past[0::2], values=past[1::2])
        hidden, present = whole.decode(self.pegasus, input_ids, None, own, attention_mask)
        return [_logits(self.pegasus, hidden), *_interleaved(present)]


def seq2seq_graphs(pegasus: Pegasus) -> list[GraphDefinition]:
    """encoder_model, decoder_model and decoder_with_past_model."""
    d_model = pegasus.config.d_model
    source = (_BATCH, _SOURCE)
    sizes = _SIZES | {_SOURCE: whole.trace_length(pegasus)}
    encoded = GraphInput(
        name="encoder_hidden_states",
        example=torch.zeros(_SIZES[_BATCH], _SIZES[_SOURCE], d_model),
        dynamic=dict(enumerate(source)),
    )
    mask = integers("encoder_attention_mask", source, _SIZES)
    target = integers("input_ids", (_BATCH, _TARGET), _SIZES)
    logits: dict[str, Shape] = {"logits": (_BATCH, _TARGET, pegasus.config.vocab_size)}
    return [
        GraphDefinition(
            name="encoder_model",
            module=EncoderModel(pegasus),
            arguments=(
                integers("input_ids", source, sizes),
                integers("attention_mask", source, sizes),
            ),
            outputs={"last_hidden_state": (_BATCH, _SOURCE, d_model)},
            attention=sparse_attention(pegasus, STANDARD),
        ),
        GraphDefinition(
            name="decoder_model",
            module=DecoderModel(pegasus),
            arguments=(mask, target, encoded),
            outputs=logits | _present(pegasus, {"decoder": _TARGET, "encoder": _SOURCE}),
        ),
        GraphDefinition(
            name="decoder_with_past_model",
            module=DecoderWithPastModel(pegasus),
            arguments=(mask, target, _past(pegasus, {"decoder": _PAST, "encoder": _SOURCE})),
            outputs=logits | _present(pegasus, {"decoder": f"{_PAST} + {_TARGET}"}),
        ),
    ]


def causal_graphs(pegasus: Pegasus) -> list[GraphDefinition]:
    """model: a PegasusForCausalLM for first and later calls."""
    both = f"{_CAUSAL_PAST} + {_CAUSAL_TARGET}"
    logits: dict[str, Shape] = {"logits": (_BATCH, _CAUSAL_TARGET, pegasus.config.vocab_size)}
    model = GraphDefinition(
        name="model",
        module=CausalModel(pegasus),
        arguments=(
            integers("input_ids", (_BATCH, _CAUSAL_TARGET), _SIZES),
            integers("attention_mask", (_BATCH, both), _SIZES),
            _past(pegasus, {"": _CAUSAL_PAST}),
        ),
        outputs=logits | _present(pegasus, {"": both}),
    )
    return [model]


def _logits(pegasus: Pegasus, hidden: Tensor) -> Tensor:
    """[B, T, D] -> [B, T, V]."""
    return whole.batched(pegasus.logits(hidden.flatten(0, 1)), hidden)


def _interleaved(keys: whole.SelfKeys) -> list[Tensor]:
    """Key, value of layer 0, key, value of layer 1, and so on."""
    pairs = zip(keys.keys, keys.values, strict=True)
    return [tensor for pair in pairs for tensor in pair]


def _past(pegasus: Pegasus, lengths: dict[str, str]) -> list[GraphInput]:
    """Layer by layer, key and value of each stack, `lengths` naming each stack's length."""
    return [
        GraphInput(
            name=f"past_key_values.{name}",
            example=torch.zeros(_SIZES[_BATCH], shape[1], _SIZES[str(shape[2])], shape[3]),
            dynamic={0: _BATCH, 2: str(shape[2])},
        )
        for name, shape in _keys(pegasus, lengths).items()
    ]


def _present(pegasus: Pegasus, lengths: dict[str, str]) -> dict[str, Shape]:
    return {f"present.{name}": shape for name, shape in _keys(pegasus, lengths).items()}


def _keys(pegasus: Pegasus, lengths: dict[str, str]) -> dict[str, tuple[str, int, str, int]]:
    heads = pegasus.config.decoder_attention_heads
    head_dim = pegasus.config.d_model // heads
    return {
        ".".join(part for part in (str(layer), stack, kind) if part): (
            _BATCH,
            heads,
            length,
            head_dim,
        )
        for layer in range(pegasus.config.decoder_layers)
        for stack, length in lengths.items()
        for kind in ("key", "value")
    }
