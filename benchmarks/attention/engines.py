"""Ways to attend on a GPU, over the same queries, keys and values: ours and the peers'.

Dimensions: B batch, H heads, S source, Dh head dim.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pegasus_plugins.specification import AttentionSpec

OURS, DENSE, FLEX, TRANSFORMERS = "ours", "dense flash", "FlexAttention", "transformers"


class MissingEngineError(Exception):
    """An engine that cannot run here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseInputs:
    """query, key, value [B, H, S, Dh], key_mask [B, S] int32, all ones: flash attention takes no
    mask."""

    query: Tensor
    key: Tensor
    value: Tensor
    key_mask: Tensor


Attend = Callable[[], Tensor]


def random_inputs(
    spec: AttentionSpec, *, batch: int, length: int, head_dim: int, dtype: torch.dtype, device: str
) -> DenseInputs:
    """Normally distributed."""
    generator = torch.Generator(device).manual_seed(0)
    shape = (batch, spec.num_heads, length, head_dim)
    query, key, value = (
        torch.randn(shape, generator=generator, device=device).to(dtype) for _ in range(3)
    )
    mask = torch.ones(batch, length, dtype=torch.int32, device=device)
    return DenseInputs(query=query, key=key, value=value, key_mask=mask)


def attend_ours(spec: AttentionSpec, inputs: DenseInputs) -> Attend:
    """The Triton kernels."""
    from pegasus_plugins.run_kernels import attend

    return lambda: attend(spec, inputs.query, inputs.key, inputs.value, inputs.key_mask)


def attend_densely(spec: AttentionSpec, inputs: DenseInputs) -> Attend:
    """torch's flash attention, and no other of its kernels, over all keys."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention

    def attend() -> Tensor:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return scaled_dot_product_attention(
                inputs.query, inputs.key, inputs.value, scale=spec.scale
            )

    return attend


def attend_flexibly(spec: AttentionSpec, inputs: DenseInputs) -> Attend:
    """torch's FlexAttention, compiled for this pattern: it skips the blocks that are not seen."""
    try:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    except ImportError as err:
        raise MissingEngineError(f"torch {torch.__version__} has no FlexAttention") from err
    length, block = inputs.query.shape[2], spec.block_size
    last, bias = spec.num_blocks(length) - 1, spec.first_bias(has_plan=False)

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        row, column = query // block, key // block
        is_end = (row == 0) | (row == last) | (column == 0) | (column == last)
        return is_end | ((row - column).abs() <= 1)

    def score(found: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        row = query // block
        is_first = (row > 0) & (row < last) & (key // block == 0)
        return torch.where(is_first, found + bias, found)

    device, on_gpu = inputs.query.device, inputs.query.is_cuda
    mask = create_block_mask(sees, None, None, length, length, device=str(device), BLOCK_SIZE=block)
    flex: Any = torch.compile(flex_attention, dynamic=False) if on_gpu else flex_attention
    tiles = {"kernel_options": {"BLOCK_M": block, "BLOCK_N": block}} if on_gpu else {}

    def attend() -> Tensor:
        attended: Tensor = flex(
            *(inputs.query, inputs.key, inputs.value),
            score_mod=score,
            block_mask=mask,
            scale=spec.scale,
            **tiles,
        )
        return attended

    return attend


def attend_like_transformers(spec: AttentionSpec, inputs: DenseInputs) -> Attend:
    """The core of transformers' BigBirdPegasusBlockSparseAttention, in inference; it computes the
    matrix of probabilities too, as it always does."""
    try:
        import transformers
        from transformers.models.bigbird_pegasus import modeling_bigbird_pegasus
    except ModuleNotFoundError as err:
        raise MissingEngineError(f"{err.name} is not installed") from err
    batch, heads, length, head_dim = inputs.query.shape
    if length % spec.block_size or length <= (5 + 2 * spec.num_random_blocks) * spec.block_size:
        raise MissingEngineError(f"it does not attend sparsely to {length} tokens")
    config = transformers.BigBirdPegasusConfig(
        d_model=heads * head_dim,
        encoder_attention_heads=heads,
        block_size=spec.block_size,
        num_random_blocks=spec.num_random_blocks,
    )
    library: Any = modeling_bigbird_pegasus
    attention = library.BigBirdPegasusBlockSparseAttention(config, seed=0).eval()
    mask = inputs.key_mask.to(inputs.query.dtype)
    masks = library.BigBirdPegasusEncoder.create_masks_for_block_sparse_attn(mask, spec.block_size)
    blocked, band, rows, columns = masks

    def attend() -> Tensor:
        context, _ = attention.bigbird_block_sparse_attention(
            inputs.query,
            inputs.key,
            inputs.value,
            *(band, rows, columns, blocked, blocked),
            *(heads, spec.num_random_blocks, head_dim, spec.block_size, spec.block_size),
            *(batch, length, length),
            seed=0,
            plan_from_length=None,
            plan_num_rand_blocks=None,
        )
        attended: Tensor = context.transpose(1, 2)  # [B, S, H, Dh] -> [B, H, S, Dh]
        return attended

    return attend


ENGINES: dict[str, Callable[[AttentionSpec, DenseInputs], Attend]] = {
    OURS: attend_ours,
    DENSE: attend_densely,
    FLEX: attend_flexibly,
    TRANSFORMERS: attend_like_transformers,
}
"""Name -> what makes a call of inputs; raises MissingEngineError."""
