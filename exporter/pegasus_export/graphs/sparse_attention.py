"""What the encoder's attention of a block-sparse model is to be, in a target's dialect."""

from pegasus_export.dialects.block_sparse_nodes import AttentionNodes, Heads
from pegasus_export.graphs.definition import SparseAttention
from pegasus_export.graphs.whole import sparse_pattern
from pegasus_export.models.pegasus import Pegasus

__all__ = ["sparse_attention"]


def sparse_attention(pegasus: Pegasus, nodes: AttentionNodes) -> SparseAttention | None:
    """None where the encoder attends in full at any length."""
    pattern = sparse_pattern(pegasus, 0)  # all layers' differ in their tables only
    if pattern is None:
        return None
    count = pegasus.config.encoder_attention_heads
    heads = Heads(count=count, dim=pegasus.config.d_model // count)
    return SparseAttention(nodes=nodes, heads=heads, pattern=pattern)
