"""PEGASUS as a small torch module whose attention is left open: the seams are arguments.

BigBirdPegasus is the same network with learned positions, sparse attention in its encoder and
other names (`models/bigbird_pegasus.py`), and PEGASUS-X with global tokens (`models/pegasus_x.py`),
so this is their module too.

The modules hold weights and do everything that is the same in every target. What a target spells
in its own way (attention over padding, over a cache, over the encoder) arrives as a function, so
that one set of weights is traced into every dialect. Parameter names are those of Hugging Face's
PegasusForConditionalGeneration, so that a checkpoint loads by name.

The hidden states of all tokens travel as one matrix [N, D], N = batch x length: every linear
layer is then one matrix product whose weight keeps the checkpoint's layout.

Dimensions: N tokens, D model dim, F feed-forward dim, V vocabulary.
Source: Zhang et al. 2020, "PEGASUS" (arXiv:1912.08777); pre-LN, sinusoidal positions.
Heads: transformers, BigBirdPegasusForSequenceClassification and ...ForQuestionAnswering.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from pegasus_engines.network import ENCODER_POSITIONS
from pegasus_export.checkpoint.architectures import Parts
from pegasus_export.checkpoint.config import PegasusConfig
from pegasus_export.models.activations import ACTIVATIONS
from pegasus_export.models.pegasus_x import join_global_tokens, normalise_both

__all__ = ["CrossAttend", "Pegasus", "SelfAttend"]

SelfAttend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""(layer, query, key, value), each [N, D] -> [N, D]; in an encoder with global tokens, these come
first."""
CrossAttend = Callable[[int, Tensor], Tensor]
"""(layer, query [N, D]) -> [N, D]."""


class Pegasus(nn.Module):
    """Encoder, decoder and head: all weights of a checkpoint.

    A decoder-only checkpoint (PegasusForCausalLM) has no encoder, and a headless one
    (PegasusModel) no `lm_head`; a tied head is the embedding matrix.
    """

    def __init__(self, config: PegasusConfig, parts: Parts) -> None:
        super().__init__()
        self.config = config
        self.model = Stacks(config, with_encoder=parts.encoder)
        own_head = parts.lm_head and not (parts.may_tie and config.tie_word_embeddings)
        self.lm_head = (
            nn.Linear(config.d_model, config.vocab_size, bias=False) if own_head else None
        )
        self.classification_head = ClassificationHead(config) if parts.classification_head else None
        self.qa_outputs = nn.Linear(config.d_model, 2) if parts.qa_outputs else None
        self.final_logits_bias: Tensor | None
        self.register_buffer("final_logits_bias", torch.zeros(1, config.vocab_size))
        self.embed_scale = config.d_model**0.5 if config.scale_embedding else 1.0

    def encode(self, input_ids: Tensor, self_attend: SelfAttend) -> Tensor:
        """input_ids [B, S] int64 -> normalised hidden states [B*S, D]."""
        encoder = self.model.encoder
        assert encoder is not None
        positions = encoder.embed_positions(torch.arange(input_ids.shape[1]))
        hidden = self._embed(input_ids, encoder.embed_tokens) + positions  # [B, S, D] + [S, D]
        return encoder.forward(hidden, self_attend)

    def decode(
        self,
        input_ids: Tensor,
        positions: Tensor,
        self_attend: SelfAttend,
        cross_attend: CrossAttend | None,
    ) -> Tensor:
        """input_ids [B, T] int64, positions [T] int -> normalised hidden states [B*T, D].

        Without `cross_attend` the decoder is a language model on its own (PegasusForCausalLM).
        """
        decoder = self.model.decoder
        hidden = self._embed(input_ids, decoder.embed_tokens) + decoder.embed_positions(positions)
        return decoder.forward(hidden.flatten(0, 1), self_attend, cross_attend)

    def cross_projections(self, encoded: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Encoded source [N, D] -> keys and values [N, D] of every decoder layer."""
        layers = (cast(DecoderLayer, layer).encoder_attn for layer in self.model.decoder.layers)
        return [(layer.k_proj(encoded), layer.v_proj(encoded)) for layer in layers]

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states [N, D] -> logits [N, V] float32."""
        weight = self.model.shared.weight if self.lm_head is None else self.lm_head.weight
        return functional.linear(hidden, weight, self.final_logits_bias)

    def unused_names(self) -> set[str]:
        """Weights that no graph reads by that name: the shared embedding where each stack has its
        own, and the encoder's positions where both stacks have one table, the decoder's to torch.
        """
        names = set() if self.config.tie_word_embeddings else {"model.shared.weight"}
        encoder, decoder = self.model.encoder, self.model.decoder
        if encoder is not None and encoder.embed_positions is decoder.embed_positions:
            names.add(ENCODER_POSITIONS)
        return names

    def _embed(self, input_ids: Tensor, own: nn.Embedding | None) -> Tensor:
        embedded: Tensor = (self.model.shared if own is None else own)(input_ids)
        return embedded * self.embed_scale


class Stacks(nn.Module):
    """Encoder, decoder and the embedding they share: PegasusModel, and its level of names.

    Where the config unties them, each has its own as well, as transformers 5 has it.
    """

    def __init__(self, config: PegasusConfig, *, with_encoder: bool) -> None:
        super().__init__()
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Encoder(config) if with_encoder else None
        self.decoder = Decoder(config)


class ClassificationHead(nn.Module):
    """The decoder's state at the end of a text [B, D] -> logits of the labels [B, labels]."""

    def __init__(self, config: PegasusConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.out_proj = nn.Linear(config.d_model, len(config.labels))

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.out_proj(torch.tanh(self.dense(hidden)))
        return logits


class Attention(nn.Module):
    """The four projections of an attention; how they attend is the dialect's business."""

    def __init__(self, config: PegasusConfig) -> None:
        super().__init__()
        d_model, bias = config.d_model, config.attention_bias
        self.k_proj = nn.Linear(d_model, d_model, bias=bias)
        self.v_proj = nn.Linear(d_model, d_model, bias=bias)
        self.q_proj = nn.Linear(d_model, d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each behind a LayerNorm and added to the stream."""

    def __init__(self, config: PegasusConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.activation = ACTIVATIONS[config.activation_function]
        has_global = config.block_local is not None
        self.global_self_attn_layer_norm = nn.LayerNorm(config.d_model) if has_global else None
        self.random_blocks: Tensor | None
        self.register_buffer("random_blocks", None, persistent=False)

    def forward(
        self, index: int, hidden: Tensor, self_attend: SelfAttend, num_global: int
    ) -> Tensor:
        normalised = self._normalise(hidden, num_global)
        hidden = hidden + _self_attention(self, index, normalised, self_attend)
        return hidden + _feed_forward(self, hidden)

    def _normalise(self, hidden: Tensor, num_global: int) -> Tensor:
        of_global = self.global_self_attn_layer_norm
        if of_global is not None:
            return normalise_both(hidden, num_global, of_global, self.self_attn_layer_norm)
        normalised: Tensor = self.self_attn_layer_norm(hidden)
        return normalised


class DecoderLayer(nn.Module):
    """As the encoder's, with attention over the encoded source in between."""

    def __init__(self, config: PegasusConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.encoder_attn = Attention(config)
        self.encoder_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = nn.Linear(config.d_model, config.decoder_ffn_dim)
        self.fc2 = nn.Linear(config.decoder_ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)
        self.activation = ACTIVATIONS[config.activation_function]

    def forward(
        self,
        index: int,
        hidden: Tensor,
        self_attend: SelfAttend,
        cross_attend: CrossAttend | None,
    ) -> Tensor:
        normalised = self.self_attn_layer_norm(hidden)
        hidden = hidden + _self_attention(self, index, normalised, self_attend)
        if cross_attend is not None:
            query = self.encoder_attn.q_proj(self.encoder_attn_layer_norm(hidden))
            hidden = hidden + self.encoder_attn.out_proj(cross_attend(index, query))
        return hidden + _feed_forward(self, hidden)


class Encoder(nn.Module):
    """The stack of encoder layers and its final LayerNorm: [B, S, D] -> [B*S, D]."""

    def __init__(self, config: PegasusConfig) -> None:
        super().__init__()
        self.embed_tokens = _own_embedding(config)
        local = config.block_local
        count = 0 if local is None else local.num_global_tokens
        self.embed_global = nn.Embedding(count, config.d_model) if count else None
        self.embed_positions = nn.Embedding(config.max_position_embeddings, config.d_model)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def random_blocks(self, layer: int) -> Tensor | None:
        """The table of a layer's seeded sparse attention, [H, M, r] int64, if it has one."""
        return cast(EncoderLayer, self.layers[layer]).random_blocks

    def forward(self, tokens: Tensor, self_attend: SelfAttend) -> Tensor:
        hidden, num_global = tokens.flatten(0, 1), 0
        if self.embed_global is not None:
            hidden = join_global_tokens(tokens, self.embed_global)
            num_global = tokens.shape[0] * self.embed_global.num_embeddings
        for index, layer in enumerate(self.layers):
            hidden = layer(index, hidden, self_attend, num_global)
        normalised: Tensor = self.layer_norm(hidden[num_global:] if num_global else hidden)
        return normalised


class Decoder(nn.Module):
    """The stack of decoder layers and its final LayerNorm: [N, D] -> [N, D]."""

    def __init__(self, config: PegasusConfig) -> None:
        super().__init__()
        self.embed_tokens = _own_embedding(config)
        self.embed_positions = nn.Embedding(config.max_position_embeddings, config.d_model)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(
        self, hidden: Tensor, self_attend: SelfAttend, cross_attend: CrossAttend | None
    ) -> Tensor:
        for index, layer in enumerate(self.layers):
            hidden = layer(index, hidden, self_attend, cross_attend)
        normalised: Tensor = self.layer_norm(hidden)
        return normalised


def _own_embedding(config: PegasusConfig) -> nn.Embedding | None:
    tied = config.tie_word_embeddings
    return None if tied else nn.Embedding(config.vocab_size, config.d_model)


def _self_attention(
    layer: EncoderLayer | DecoderLayer, index: int, normalised: Tensor, self_attend: SelfAttend
) -> Tensor:
    attention = layer.self_attn
    query, key, value = (
        attention.q_proj(normalised),
        attention.k_proj(normalised),
        attention.v_proj(normalised),
    )
    attended: Tensor = attention.out_proj(self_attend(index, query, key, value))
    return attended


def _feed_forward(layer: EncoderLayer | DecoderLayer, hidden: Tensor) -> Tensor:
    expanded = layer.activation(layer.fc1(layer.final_layer_norm(hidden)))
    contracted: Tensor = layer.fc2(expanded)
    return contracted
