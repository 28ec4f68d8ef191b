"""Block-sparse attention in plain operators, in the order that TensorRT runs best.

It multiplies by transposed keys without transposing them, so that the blocks are gathered as they
lie, keys like values.
"""

from dataclasses import replace

import onnx_ir as ir

from pegasus_export.dialects.block_sparse_nodes import STANDARD, Heads, SeenBlocks
from pegasus_export.dialects.nodes import Nodes

__all__ = ["TRT"]


def _seen_scores(
    nodes: Nodes,
    query: ir.Value,
    key: ir.Value,
    seen: SeenBlocks,
    heads: Heads,
    block_size: int,
) -> ir.Value:
    blocks = seen.gather(nodes, key, heads, [block_size, heads.dim])  # [B, H, M, K, b, Dh]
    keys = nodes("Reshape", blocks, [0, 0, 0, -1, heads.dim])
    transposed = nodes("Transpose", keys, perm=[0, 1, 2, 4, 3])
    return nodes("MatMul", nodes("Mul", query, heads.scale), transposed)


TRT = replace(STANDARD, seen_scores=_seen_scores)
"""Standard operators, opset 18."""
