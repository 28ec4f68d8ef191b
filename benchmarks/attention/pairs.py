"""A cut that no GPU has been asked about yet: two blocks of queries to a program.

Neighbours see five blocks of keys each, six together: those are read once rather than twice, but
each half multiplies one that it does not see. The first and the last block, which see all keys, are
one program, and waste nothing. `docs/studies.md` counts what that is worth on each GPU. It takes no
plan, whose blocks two neighbours seldom share, and no source in full.

`combine_splits` adds up what the programs of the ends find, as for the kernel that is in use.
Runs on the CPU with TRITON_INTERPRET=1, which has to be set before this module is imported.

Dimensions: B batch, H heads, S source, Dh head dim, b block size, N blocks.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pegasus_plugins.kernel import (
    _LOG2E,
    _find_statistics,
    _make_finite,
    _write,
    combine_splits,
)
from pegasus_plugins.launch import LEAST_BLOCKS
from pegasus_plugins.specification import AttentionSpec
from pegasus_plugins.tuning import Tuning

__all__ = ["attend_in_pairs"]

_SEEN = tl.constexpr(6)  # by a pair (i, i + 1) in the middle: 0, N-1, i-1, i, i+1, i+2
_USUAL_PROGRAMS = 2


def attend_in_pairs(
    spec: AttentionSpec,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_mask: Tensor,
    *,
    num_sms: int | None = None,
    tuning: Tuning,
) -> Tensor:
    """query, key, value [B, H, S, Dh], key_mask [B, S] int32 -> [B, H, S, Dh]; all contiguous.

    tuning: of 2 * b rows and b keys. num_sms: None for those of the GPU. N is at least 2.
    """
    batch, heads, length, head_dim = query.shape
    num_blocks, num_heads = spec.num_blocks(length), batch * heads
    if num_sms is None:
        num_sms = torch.cuda.get_device_properties(query.device).multi_processor_count
    most = -(-num_blocks // LEAST_BLOCKS)
    num_splits = max(1, min(num_sms * _USUAL_PROGRAMS // num_heads, most))
    output = torch.empty_like(query)
    rows = 2 * spec.block_size * num_heads * num_splits
    partial = query.new_empty(rows * (head_dim + 2), dtype=torch.float32)
    num_programs = num_heads * (num_splits + (num_blocks - 1) // 2)
    sizes = {"HEAD_DIM": head_dim, "BLOCK": spec.block_size, "num_warps": tuning.num_warps}
    _attend_pairs[(num_programs,)](
        *(query, key, value, key_mask, length, heads, num_splits),
        *(spec.scale, spec.first_bias(has_plan=False), output, partial),
        **sizes,
        num_stages=tuning.num_stages,
    )
    if num_splits > 1:
        combine_splits[(2 * num_heads,)](
            *(partial, key_mask, length, heads, num_splits, output),
            **sizes,
            TILE_M=spec.block_size,
        )
    return output


@triton.jit
def _attend_pairs(
    query,
    key,
    value,
    key_mask,
    length,
    num_heads,
    num_splits,
    scale,
    first_bias,
    output,
    partial,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As `attend_blocks` of the plugin; programs: of the ends, head by head, then of the pairs."""
    last = tl.cdiv(length, BLOCK) - 1
    pairs = last // 2
    heads = tl.num_programs(0) // (num_splits + pairs)
    program = tl.program_id(0)
    is_end = program < heads * num_splits
    in_middle = program - heads * num_splits
    head = tl.where(is_end, program // num_splits, in_middle // tl.maximum(pairs, 1))
    split = tl.where(is_end, program % num_splits, 0)
    row = 1 + 2 * (in_middle % tl.maximum(pairs, 1))  # the first of a pair
    half = tl.arange(0, 2 * BLOCK) // BLOCK
    in_block = tl.arange(0, 2 * BLOCK) % BLOCK
    blocks = tl.where(is_end, half * last, row + half)
    # The last pair is half a pair where an odd number of blocks is in the middle.
    rows = tl.where(is_end | (blocks < last), blocks * BLOCK + in_block, length)
    per_split = tl.cdiv(last + 1, num_splits)
    first = split * per_split
    share = tl.maximum(tl.minimum(last + 1 - first, per_split), 0)
    mask = key_mask + (head // num_heads).to(tl.int64) * length
    base = head.to(tl.int64) * length * HEAD_DIM
    inputs = (query + base, key + base, value + base, mask)
    seen = (row, last, is_end, first, tl.where(is_end, share, _SEEN), first_bias * _LOG2E)
    sums, highest, total = _attend_tile(inputs, rows, blocks, length, seen, scale, HEAD_DIM, BLOCK)
    if (num_splits > 1) & is_end:
        places = ((head * 2 + half) * num_splits + split).to(tl.int64) * BLOCK + in_block
        statistics = _find_statistics(partial, heads * 2 * num_splits, BLOCK, HEAD_DIM)
        tl.store(partial + places[:, None] * HEAD_DIM + tl.arange(0, HEAD_DIM)[None, :], sums)
        tl.store(statistics + places * 2, highest)
        tl.store(statistics + places * 2 + 1, total)
    else:
        _write(output + base, mask, rows, length, sums, total, HEAD_DIM)


@triton.jit
def _attend_tile(
    inputs, rows, blocks, length, seen, scale, HEAD_DIM: tl.constexpr, BLOCK: tl.constexpr
):
    """As `_attend` of the plugin; blocks: of queries, which of them each row belongs to."""
    query, key, value, mask = inputs
    row, last, is_end, first, num_seen, first_bias = seen
    dims = tl.arange(0, HEAD_DIM)
    places = rows[:, None] * HEAD_DIM + dims[None, :]
    queries = tl.load(query + places, mask=(rows < length)[:, None], other=0.0)
    highest = tl.full([2 * BLOCK], float("-inf"), tl.float32)
    total = tl.zeros([2 * BLOCK], tl.float32)
    sums = tl.zeros([2 * BLOCK, HEAD_DIM], tl.float32)
    factor = scale * _LOG2E
    for step in range(num_seen):
        number = first * 0 + step
        block = tl.where(number == 0, 0, tl.where(number == 1, last, row - 3 + number))
        is_global = (number < 2) | is_end
        is_seen = is_global | ((block > 0) & (block < last))
        block = tl.where(is_end, first + number, block)
        bias = tl.where((number == 0) & (is_end == 0), first_bias, 0.0)
        at = block * BLOCK + tl.arange(0, BLOCK)
        is_key = at < tl.where(is_seen, length, 0)
        is_visible = tl.load(mask + at, mask=is_key, other=0) != 0
        key_places = at[:, None] * HEAD_DIM + dims[None, :]
        keys = tl.load(key + key_places, mask=is_key[:, None], other=0.0)
        values = tl.load(value + key_places, mask=is_key[:, None], other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee")  # [2 * b, b]
        is_near = is_global | ((block - blocks <= 1) & (blocks - block <= 1))
        scores = tl.where(is_visible[None, :] & is_near[:, None], scores, float("-inf"))
        new_highest = tl.maximum(highest, tl.max(scores, 1) * factor + bias)
        finite = _make_finite(new_highest)
        weights = tl.exp2(scores * factor + (bias - finite)[:, None])
        shrink = tl.exp2(highest - finite)
        total = total * shrink + tl.sum(weights, 1)
        products = tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        sums = sums * shrink[:, None] + products
        highest = new_highest
    return sums, highest, total
