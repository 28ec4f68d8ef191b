"""Block-sparse attention in Triton: one pass over the blocks of keys that a tile of queries sees.

The specification is in `plugins/README.md`, and so is the order of the arguments, which TensorRT's
plugins rely on. A program computes TILE_M queries of one block; it walks over tiles of TILE_N keys
with an online softmax (Milakov and Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022,
arXiv:2205.14135), so that neither scores nor gathered keys are ever in memory. Which block a step
reads is arithmetic: 0, i-1, i, i+1, N-1; there is no index but a plan's.

Programs of the first and the last block, which read all keys, come first, and may share the work:
each then keeps its share of the sums in `partial`, and `combine_splits` adds them up.

Runs on the CPU with TRITON_INTERPRET=1, which has to be set before this module is imported.

Dimensions: B batch, H heads, S source (`length`), Dh head dim, b block size, N blocks, r random.
"""

import triton
import triton.language as tl

__all__ = ["attend_blocks", "combine_splits"]

_LOG2E = tl.constexpr(1.4426950408889634)
_REGULAR = tl.constexpr(5)  # blocks that every block in the middle sees: see above


@triton.jit
def attend_blocks(
    query,
    key,
    value,
    key_mask,
    plan,
    length,
    num_heads,
    longest_full,
    plan_rows,
    num_splits,
    scale,
    first_bias,
    output,
    partial,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE_M: tl.constexpr,
    TILE_N: tl.constexpr,
    PLAN_COLUMNS: tl.constexpr,
    OPERAND: tl.constexpr,
):
    """query, key, value, output [B, H, S, Dh], key_mask [B, S], plan [H * plan_rows, r].

    partial: float32, sums [B * H, ends, num_splits, b, Dh], then their maximum and total
    [B * H, ends, num_splits, b, 2]; None or unused where num_splits is 1. first_bias: added to the
    scores of block 0 of a query in the middle. OPERAND: the type of what products multiply, that of
    query (the interpreter has no products of bfloat16: there, float32). Grid: `launch.py`.
    """
    num_blocks = tl.cdiv(length, BLOCK)
    is_full = length <= longest_full
    num_ends = tl.where(is_full, num_blocks, tl.minimum(num_blocks, 2))
    tiles: tl.constexpr = BLOCK // TILE_M
    ends = (num_blocks, num_ends, num_splits)
    head, row, tile, split, end, is_end = _find_tile(ends, is_full, tiles)
    mask = key_mask + (head // num_heads).to(tl.int64) * length
    base = head.to(tl.int64) * length * HEAD_DIM
    planned = plan
    if PLAN_COLUMNS > 0:
        planned += ((head % num_heads) * plan_rows + row - 1) * PLAN_COLUMNS
    per_split = tl.cdiv(num_blocks, num_splits)
    first = split * per_split
    share = tl.maximum(tl.minimum(num_blocks - first, per_split), 0)
    num_seen = tl.where(is_end, share, _REGULAR + PLAN_COLUMNS)
    rows = row * BLOCK + tile * TILE_M + tl.arange(0, TILE_M)
    inputs = (query + base, key + base, value + base, mask)
    seen = (row, num_blocks, is_end, first, num_seen, first_bias * _LOG2E)
    sizes: tl.constexpr = (HEAD_DIM, BLOCK, TILE_M, TILE_N, PLAN_COLUMNS, OPERAND)
    sums, highest, total = _attend(inputs, planned, rows, length, seen, scale, sizes)
    if (num_splits > 1) & is_end:
        if partial is not None:
            place = ((head * num_ends + end) * num_splits + split).to(tl.int64)
            places = place * BLOCK + tile * TILE_M + tl.arange(0, TILE_M)
            heads = _count_heads(ends, tiles)
            statistics = _find_statistics(partial, heads * num_ends * num_splits, BLOCK, HEAD_DIM)
            tl.store(partial + places[:, None] * HEAD_DIM + tl.arange(0, HEAD_DIM)[None, :], sums)
            tl.store(statistics + places * 2, highest)
            tl.store(statistics + places * 2 + 1, total)
    else:
        _write(output + base, mask, rows, length, sums, total, HEAD_DIM)


@triton.jit
def _count_heads(ends, tiles: tl.constexpr):
    """B * H, of the programs that `attend_blocks` is launched with."""
    num_blocks, num_ends, num_splits = ends
    return tl.num_programs(0) // ((num_ends * num_splits + num_blocks - num_ends) * tiles)


@triton.jit
def _find_tile(ends, is_full, tiles: tl.constexpr):
    """What this program computes: head of a document, block of queries, tile of that; of the first
    and the last block, which share of the keys, and which of the ends it is."""
    num_blocks, num_ends, num_splits = ends
    heads = _count_heads(ends, tiles)
    ends_per_head = num_ends * num_splits * tiles
    middle_per_head = tl.maximum((num_blocks - num_ends) * tiles, 1)
    program = tl.program_id(0)
    is_end = program < heads * ends_per_head
    in_middle = program - heads * ends_per_head
    head = tl.where(is_end, program // ends_per_head, in_middle // middle_per_head)
    rest = tl.where(is_end, program % ends_per_head, in_middle % middle_per_head)
    tile = rest % tiles
    split = tl.where(is_end, (rest // tiles) % num_splits, 0)
    end = rest // (tiles * num_splits)
    end_row = tl.where(is_full, end, end * (num_blocks - 1))
    row = tl.where(is_end, end_row, 1 + rest // tiles)
    return head, row, tile, split, end, is_end


@triton.jit
def _attend(inputs, planned, rows, length, seen, scale, sizes: tl.constexpr):
    """A tile of queries over all keys that it sees: weighted sums of values [TILE_M, Dh], and the
    highest score (times log2 e) and total weight of each query [TILE_M]."""
    query, key, value, mask = inputs
    HEAD_DIM: tl.constexpr = sizes[0]
    BLOCK: tl.constexpr = sizes[1]
    TILE_M: tl.constexpr = sizes[2]
    TILE_N: tl.constexpr = sizes[3]
    OPERAND: tl.constexpr = sizes[5]
    parts: tl.constexpr = BLOCK // TILE_N
    dims = tl.arange(0, HEAD_DIM)
    places = rows[:, None] * HEAD_DIM + dims[None, :]
    queries = tl.load(query + places, mask=(rows < length)[:, None], other=0.0).to(OPERAND)
    highest = tl.full([TILE_M], float("-inf"), tl.float32)
    total = tl.zeros([TILE_M], tl.float32)
    sums = tl.zeros([TILE_M, HEAD_DIM], tl.float32)
    factor = scale * _LOG2E  # positive, so that the highest product is the highest score
    for step in range(seen[4] * parts):
        block, is_seen, bias = _find_block(step // parts, seen, planned, sizes[4])
        at = block * BLOCK + (step % parts) * TILE_N + tl.arange(0, TILE_N)
        is_key = at < length
        is_visible = (tl.load(mask + at, mask=is_key, other=0) != 0) & is_seen
        key_places = at[:, None] * HEAD_DIM + dims[None, :]
        keys = tl.load(key + key_places, mask=is_key[:, None], other=0.0).to(OPERAND)
        values = tl.load(value + key_places, mask=is_key[:, None], other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee")  # [TILE_M, TILE_N]
        scores = tl.where(is_visible[None, :], scores, float("-inf"))
        # Scaled as the highest is subtracted from them: one instruction, no rounding in between.
        new_highest = tl.maximum(highest, tl.max(scores, 1) * factor + bias)
        finite = _make_finite(new_highest)
        weights = tl.exp2(scores * factor + (bias - finite)[:, None])
        shrink = tl.exp2(highest - finite)
        total = total * shrink + tl.sum(weights, 1)
        rounded = weights.to(values.dtype).to(OPERAND)
        products = tl.dot(rounded, values.to(OPERAND), input_precision="ieee")
        sums = sums * shrink[:, None] + products
        highest = new_highest
    return sums, highest, total


@triton.jit
def _find_block(number, seen, planned, PLAN_COLUMNS: tl.constexpr):
    """The block of keys that comes as this number: which it is, whether it is seen (or was seen
    before, or is not there), and what is added to its scores, times log2 e.

    Of a block in the middle: the first, its left, itself, its right, the last, the plan's.
    """
    row, num_blocks, is_end, first, _, first_bias = seen
    last = num_blocks - 1
    block = tl.where(number == 0, 0, row - 2 + number)
    block = tl.where(number == _REGULAR - 1, last, block)
    is_seen = (block > 0) & (block < last) | (number == 0) | (number == _REGULAR - 1)
    if PLAN_COLUMNS > 0:
        is_planned = (number >= _REGULAR) & (is_end == 0)
        chosen = tl.load(planned + number - _REGULAR, mask=is_planned, other=0)
        is_seen = tl.where(is_planned, chosen < num_blocks, is_seen)
        block = tl.where(is_planned, tl.minimum(chosen, last), block)
    bias = tl.where((number == 0) & (is_end == 0), first_bias, 0.0)
    return tl.where(is_end, first + number, block), is_seen | is_end, bias


@triton.jit
def _make_finite(highest):
    """The highest scores, 0 for queries that have seen no key: -inf - -inf is no number."""
    return tl.where(highest == float("-inf"), 0.0, highest)


@triton.jit
def _find_statistics(partial, num_shares, BLOCK: tl.constexpr, HEAD_DIM: tl.constexpr):
    """Where in `partial` maximum and total are, behind the sums."""
    return partial + num_shares.to(tl.int64) * BLOCK * HEAD_DIM


@triton.jit
def _write(output, mask, rows, length, sums, total, HEAD_DIM: tl.constexpr):
    """sums / total, 0 for queries that are padding or have seen no key."""
    is_query = rows < length
    is_kept = tl.load(mask + rows, mask=is_query, other=0) != 0
    attended = sums / tl.where(total > 0, total, 1.0)[:, None]
    attended = tl.where(is_kept[:, None], attended, 0.0)
    places = rows[:, None] * HEAD_DIM + tl.arange(0, HEAD_DIM)[None, :]
    tl.store(output + places, attended.to(output.dtype.element_ty), mask=is_query[:, None])


@triton.jit
def combine_splits(
    partial,
    key_mask,
    length,
    num_heads,
    num_splits,
    output,
    HEAD_DIM: tl.constexpr,
    BLOCK: tl.constexpr,
    TILE_M: tl.constexpr,
):
    """What the splits of the first and the last block found, into output [B, H, S, Dh].

    One program per tile of such a block; the splits are added up in their order, so that the
    result does not depend on which was ready first.
    """
    tiles: tl.constexpr = BLOCK // TILE_M
    num_blocks = tl.cdiv(length, BLOCK)
    num_ends = tl.minimum(num_blocks, 2)
    program = tl.program_id(0)
    tile = program % tiles
    end = (program // tiles) % num_ends
    head = program // (tiles * num_ends)

    dims = tl.arange(0, HEAD_DIM)
    in_block = tile * TILE_M + tl.arange(0, TILE_M)
    num_shares = tl.num_programs(0) // tiles * num_splits
    statistics = _find_statistics(partial, num_shares, BLOCK, HEAD_DIM)
    highest = tl.full([TILE_M], float("-inf"), tl.float32)
    total = tl.zeros([TILE_M], tl.float32)
    sums = tl.zeros([TILE_M, HEAD_DIM], tl.float32)
    for split in range(num_splits):
        share = ((head * num_ends + end) * num_splits + split).to(tl.int64)
        places = share * BLOCK + in_block
        its_highest = tl.load(statistics + places * 2)
        new_highest = tl.maximum(highest, its_highest)
        finite = _make_finite(new_highest)
        shrink, its_shrink = tl.exp2(highest - finite), tl.exp2(its_highest - finite)
        its_sums = tl.load(partial + places[:, None] * HEAD_DIM + dims[None, :])
        sums = sums * shrink[:, None] + its_sums * its_shrink[:, None]
        total = total * shrink + tl.load(statistics + places * 2 + 1) * its_shrink
        highest = new_highest

    rows = end * (num_blocks - 1) * BLOCK + in_block
    mask = key_mask + (head // num_heads).to(tl.int64) * length
    base = head.to(tl.int64) * length * HEAD_DIM
    _write(output + base, mask, rows, length, sums, total, HEAD_DIM)
