"""Block-sparse attention for ONNX Runtime, whose FusedMatMul reads the keys as they lie.

Source: onnxruntime docs/ContribOperators.md (FusedMatMul, MultiHeadAttention).
"""

import numpy as np
import onnx_ir as ir

from pegasus_export.dialects.block_sparse_nodes import (
    AttentionInputs,
    AttentionNodes,
    Heads,
    SeenBlocks,
)
from pegasus_export.dialects.nodes import MICROSOFT, Nodes

__all__ = ["ORT"]

_LOWEST = float(np.finfo(np.float32).min)


def _attend_full(nodes: Nodes, inputs: AttentionInputs, heads: Heads) -> ir.Value:
    mask = nodes("Cast", inputs.attention_mask, to=ir.DataType.INT32.value)
    return nodes(
        "MultiHeadAttention",
        inputs.query,
        inputs.key,
        inputs.value,
        None,
        mask,
        domain=MICROSOFT,
        num_heads=heads.count,
        mask_filter_value=_LOWEST,
    )


def _dense_scores(nodes: Nodes, query: ir.Value, key: ir.Value, heads: Heads) -> ir.Value:
    return nodes("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=heads.scale)


def _seen_scores(
    nodes: Nodes,
    query: ir.Value,
    key: ir.Value,
    seen: SeenBlocks,
    heads: Heads,
    block_size: int,
) -> ir.Value:
    blocks = seen.gather(nodes, key, heads, [block_size, heads.dim])
    keys = nodes("Reshape", blocks, [0, 0, 0, -1, heads.dim])  # [B, H, M, K*b, Dh]
    return _dense_scores(nodes, query, keys, heads)


ORT = AttentionNodes(attend_full=_attend_full, dense_scores=_dense_scores, seen_scores=_seen_scores)
"""ONNX Runtime's operators."""
