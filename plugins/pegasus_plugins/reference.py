"""`pegasus::BlockSparseAttention` in NumPy: what the words of the specification say, in float64.

Dimensions: B batch, H heads, S source, Dh head dim, b block size, N blocks, r random blocks.
"""

import numpy as np
import numpy.typing as npt

from pegasus_plugins.specification import AttentionSpec

__all__ = ["attend", "count_blocks"]

Float64 = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]


def attend(
    spec: AttentionSpec,
    query: npt.ArrayLike,
    key: npt.ArrayLike,
    value: npt.ArrayLike,
    key_mask: npt.ArrayLike,
    plan: Integers | None = None,
) -> Float64:
    """query, key, value [B, H, S, Dh], key_mask [B, S], plan [L', r] -> [B, H, S, Dh] float64.

    It computes every score, seen or not: S by S of them. Raises: SpecificationError for a plan
    that lacks rows or columns.
    """
    queries, keys, values = (np.asarray(x, dtype=np.float64) for x in (query, key, value))
    mask = np.asarray(key_mask) != 0  # [B, S]
    length = queries.shape[2]
    times = count_blocks(spec, length, plan)  # [H, N, N]
    block = np.arange(length) // spec.block_size
    seen = times[:, block][:, :, block] * mask[:, None, None]  # [B, H, S, S]
    scores = spec.scale * queries @ keys.swapaxes(2, 3)
    highest = np.where(seen > 0, scores, -np.inf).max(axis=3, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, 0)  # of a query that sees no key
    weights = np.where(seen > 0, seen * np.exp(np.minimum(scores - highest, 0)), 0)
    total = weights.sum(axis=3, keepdims=True)
    attended = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ values
    result: Float64 = attended * mask[:, None, :, None]
    return result


def count_blocks(spec: AttentionSpec, length: int, plan: Integers | None = None) -> Float64:
    """How often queries of one block see the keys of another: [H, N, N].

    Raises: SpecificationError.
    """
    num_blocks = spec.num_blocks(length)
    times = np.zeros((spec.num_heads, num_blocks, num_blocks))
    if plan is not None:
        spec.check_plan(plan.shape[0], plan.shape[1], length)
    if spec.is_full(length):
        times[:] = 1
        return times
    times[:, [0, -1]] = 1
    for row in range(1, num_blocks - 1):
        for column in {0, row - 1, row, row + 1, num_blocks - 1}:
            times[:, row, column] = 1
        if plan is None:
            times[:, row, 0] = 1 + spec.num_random_blocks
            continue
        for head in range(spec.num_heads):
            chosen = plan[head * (len(plan) // spec.num_heads) + row - 1]
            for column in chosen[chosen < num_blocks]:
                times[head, row, column] += 1
    return times
