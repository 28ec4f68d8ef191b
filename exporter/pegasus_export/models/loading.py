"""A checkpoint's weights into the torch modules, without copying them."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from pegasus_engines.network import FINAL_BIAS, POSITIONS
from pegasus_engines.precision.equalisation import Equalisation
from pegasus_export.checkpoint.architectures import ARCHITECTURES
from pegasus_export.checkpoint.config import PegasusConfig
from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.read_tensors import read_tensors
from pegasus_export.checkpoint.weights import fit_tensors, keeps_copies_apart
from pegasus_export.errors import CheckpointError
from pegasus_export.models.bigbird_pegasus import checkpoint_name, seeded_blocks
from pegasus_export.models.pegasus import Pegasus
from pegasus_export.models.pegasus_x import exponential_positions

__all__ = [
    "equalise_source_values",
    "load_pegasus",
    "sinusoidal_positions",
    "unload_pegasus",
]


def load_pegasus(
    checkpoint: Checkpoint,
    *,
    max_source_tokens: int | None = None,
    max_target_tokens: int | None = None,
    seeded: bool = False,
) -> Pegasus:
    """The checkpoint as a module in inference mode; its weights stay mapped to the file.

    Positions that the file lacks are computed, a missing final bias is zero, and biases that are
    zero throughout are dropped: the original models have none in their attention.

    max_source_tokens: positions of the encoder; more than the checkpoint states is possible where
    they are the sinusoids of the paper. max_target_tokens: those of the decoder, where these are
    more than the checkpoint states. seeded: whether a block-sparse encoder draws its random
    blocks as in training. Raises: CheckpointError.
    """
    found = read_tensors(checkpoint)
    config = checkpoint.config
    if keeps_copies_apart(checkpoint, found):
        config = dataclasses.replace(config, tie_word_embeddings=False)
        checkpoint.notes.append(
            "config.json ties the embeddings, but the copies in the weights differ: each is kept, "
            "as transformers does"
        )
    with torch.device("meta"):
        pegasus = Pegasus(config, ARCHITECTURES[checkpoint.architecture])
    weights = _fit(checkpoint, found, pegasus)
    for name in POSITIONS:
        if name in pegasus.state_dict() and name not in weights:
            weights[name] = _computed_positions(config, config.max_position_embeddings)
    weights.setdefault(FINAL_BIAS, torch.zeros(1, config.vocab_size))
    pegasus.load_state_dict(weights, strict=True, assign=True)
    encoder, decoder = pegasus.model.encoder, pegasus.model.decoder
    if encoder is not None and max_source_tokens is not None:
        encoder.embed_positions = _resize(config, encoder.embed_positions, max_source_tokens)
    if max_target_tokens is not None and max_target_tokens > config.max_position_embeddings:
        decoder.embed_positions = _resize(config, decoder.embed_positions, max_target_tokens)
    if config.block_local is not None:
        _share_positions(pegasus)
    _drop_zero_biases(pegasus)
    if encoder is None:
        _drop_cross_attention(pegasus)
    if seeded:
        _draw_random_blocks(pegasus)
    return pegasus.eval().requires_grad_(False)


def _fit(
    checkpoint: Checkpoint, found: Mapping[str, Tensor], pegasus: Pegasus
) -> dict[str, Tensor]:
    """The weights by the module's names, which BigBirdPegasus checkpoints do not use."""
    is_bigbird = checkpoint.model_type == "bigbird_pegasus"
    names = {checkpoint_name(name) if is_bigbird else name: name for name in pegasus.state_dict()}
    expected = {theirs: tuple(pegasus.state_dict()[ours].shape) for theirs, ours in names.items()}
    is_pegasus_x = checkpoint.config.block_local is not None
    if not ARCHITECTURES[checkpoint.architecture].encoder or is_pegasus_x:
        del expected[FINAL_BIAS]  # transformers has none there, whatever the file has
    if is_pegasus_x:
        for name in POSITIONS:  # nor these: it computes them
            del expected[name]
    computed = () if checkpoint.config.learned_positions else POSITIONS
    weights = fit_tensors(checkpoint, found, expected, optional=(*computed, FINAL_BIAS))
    return {names[theirs]: tensor for theirs, tensor in weights.items()}


@torch.no_grad()
def equalise_source_values(pegasus: Pegasus, equalisation: Equalisation) -> None:
    """Gives cross-attention the factors of its values, which the encoder's graph hands out.

    All other factors are undone within a graph. The function is the same, to the bit.
    """
    for name, factor in equalisation.divided.items():
        if not name.endswith(".encoder_attn.v_proj"):
            continue
        scale = torch.from_numpy(factor)
        values = pegasus.get_submodule(name)
        output = pegasus.get_submodule(name.replace(".v_proj", ".out_proj"))
        assert isinstance(values, nn.Linear)
        assert isinstance(output, nn.Linear)
        values.weight = nn.Parameter(values.weight / scale[:, None], requires_grad=False)
        if values.bias is not None:
            values.bias = nn.Parameter(values.bias / scale, requires_grad=False)
        output.weight = nn.Parameter(output.weight * scale, requires_grad=False)


def unload_pegasus(pegasus: Pegasus) -> None:
    """Lets go of the weights and of the mapped file, though the module itself may live on.

    It does: the rewrite rules of onnxscript hold on to the last graph that they saw.
    """
    for tensor in (*pegasus.parameters(), *pegasus.buffers()):
        tensor.data = torch.empty(0)


def sinusoidal_positions(count: int, d_model: int) -> Tensor:
    """Position vectors [count, D] float32: sines in the first half of the channels, then cosines.

    Computed in float64 and rounded once, as transformers' PegasusSinusoidalPositionalEmbedding.
    """
    channels = np.arange(d_model)
    angles = np.arange(count)[:, None] / np.power(10000, 2 * (channels // 2) / d_model)
    halves = (np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2]))
    return torch.from_numpy(np.concatenate(halves, axis=1).astype(np.float32))


def _computed_positions(config: PegasusConfig, count: int) -> Tensor:
    compute = sinusoidal_positions if config.block_local is None else exponential_positions
    return compute(count, config.d_model)


def _resize(config: PegasusConfig, table: nn.Embedding, count: int) -> nn.Embedding:
    """The first `count` positions, computed anew where the checkpoint has fewer."""
    positions = table.weight.detach()
    known = len(positions)
    if count > known:
        longer = _computed_positions(config, count)
        if not torch.allclose(longer[:known], positions, rtol=0, atol=1e-6):
            raise CheckpointError(
                f"max-source-tokens is {count}, the checkpoint has {known} positions that are not "
                f"sinusoidal and cannot be continued: ask for at most {known}"
            )
        positions = torch.cat([positions, longer[known:]])
    embedding: Any = nn.Embedding.from_pretrained  # torch leaves it untyped
    return cast(nn.Embedding, embedding(positions[:count]))


def _share_positions(pegasus: Pegasus) -> None:
    """One table for both stacks, where one has all rows of the other: 16384 of them take 64 MiB."""
    encoder, decoder = pegasus.model.encoder, pegasus.model.decoder
    assert encoder is not None
    if len(encoder.embed_positions.weight) >= len(decoder.embed_positions.weight):
        decoder.embed_positions = encoder.embed_positions


def _drop_cross_attention(pegasus: Pegasus) -> None:
    """A decoder on its own has no source to attend to, though its checkpoint has the weights."""
    for layer in pegasus.model.decoder.layers:
        del layer.encoder_attn, layer.encoder_attn_layer_norm


def _draw_random_blocks(pegasus: Pegasus) -> None:
    """Gives every encoder layer its table. Raises: CheckpointError."""
    config, encoder = pegasus.config, pegasus.model.encoder
    assert encoder is not None
    assert config.block_sparse is not None
    for index, layer in enumerate(encoder.layers):
        try:
            table = seeded_blocks(
                layer=index,
                num_heads=config.encoder_attention_heads,
                max_tokens=config.max_position_embeddings,
                block_size=config.block_sparse.block_size,
                num_random_blocks=config.block_sparse.num_random_blocks,
            )
        except ValueError as err:
            raise CheckpointError(f"--random-blocks seeded: {err}: use hf-eval") from err
        layer.register_buffer("random_blocks", torch.from_numpy(table), persistent=False)


def _drop_zero_biases(pegasus: Pegasus) -> None:
    for module in pegasus.modules():
        if isinstance(module, nn.Linear) and module.bias is not None and not module.bias.any():
            module.register_parameter("bias", None)
    assert pegasus.final_logits_bias is not None
    bias = pegasus.final_logits_bias[0]  # [1, V] -> [V]
    pegasus.final_logits_bias = bias if bias.any() else None
