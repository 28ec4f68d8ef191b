"""Block-sparse attention for TensorRT as one node, which a plugin computes.

The node is `pegasus::BlockSparseAttention`, see `plugins/README.md`. Where the plugin is not, in
ONNX Runtime, the node is a function in plain operators (`passes/define_plugin.py`).

Dimensions: B batch, H heads, S source, D model dim, Dh head dim, r columns of the plan.
"""

import dataclasses

import torch
from torch import Tensor

from pegasus_export.dialects import block_sparse, standard
from pegasus_export.dialects.block_sparse import SparsePattern
from pegasus_plugins.specification import NAME, NAMESPACE, VERSION, AttentionSpec

__all__ = ["attend_with_plugin", "attention_spec"]


def attend_with_plugin(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    num_heads: int,
    pattern: SparsePattern,
) -> Tensor:
    """query, key, value [B, S, D], attention_mask [B, S] int64 -> [B, S, D]; S is any length."""
    if not torch.compiler.is_exporting():
        return block_sparse.attend_any_length(query, key, value, attention_mask, num_heads, pattern)
    heads = [standard.split_heads(x, num_heads) for x in (query, key, value)]  # [B, H, S, Dh]
    inputs = [*heads, attention_mask.to(torch.int32)]
    if pattern.random_blocks is not None:
        inputs.append(pattern.random_blocks.to(torch.int32).flatten(0, 1))  # [H * rows, r]
    spec = attention_spec(num_heads, heads[0].shape[3], pattern)
    attended = torch.onnx.ops.symbolic(
        f"{NAMESPACE}::{NAME}",
        inputs,
        {
            **dataclasses.asdict(spec),
            "plugin_namespace": NAMESPACE,  # where TensorRT looks for it
            "plugin_version": VERSION,
        },
        dtype=query.dtype,
        shape=heads[0].shape,
        version=int(VERSION),
    )
    return standard.merge_heads(attended)


def attention_spec(num_heads: int, head_dim: int, pattern: SparsePattern) -> AttentionSpec:
    """The node's attributes. Raises: SpecificationError where the plugin cannot compute it."""
    return AttentionSpec(
        num_heads=num_heads,
        block_size=pattern.block_size,
        num_random_blocks=pattern.num_random_blocks,
        longest_full=pattern.longest_full,
        scale=head_dim**-0.5,
    )
