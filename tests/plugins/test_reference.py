"""The reference in NumPy: against transformers, the exporter's torch form, and plain attention."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from torch import Tensor

from pegasus_export.dialects.block_sparse import SparsePattern, attend_block_sparse
from pegasus_export.models.bigbird_pegasus import seeded_blocks
from pegasus_plugins.reference import attend, count_blocks
from pegasus_plugins.specification import SpecificationError
from plugins.attention_case import AttentionCase, AttentionInputs, make_spec, random_inputs
from plugins.tolerances import assert_close


def reference(case: AttentionCase, inputs: AttentionInputs) -> npt.NDArray[np.float64]:
    plan = None if inputs.plan is None else inputs.plan.numpy()
    return attend(case.spec, *inputs.in_float64, inputs.key_mask.numpy(), plan)


def transformers_attention(case: AttentionCase, inputs: AttentionInputs) -> npt.NDArray[np.float64]:
    """What BigBirdPegasusBlockSparseAttention makes of them in inference: [B, H, S, Dh]."""
    library: Any = transformers.models.bigbird_pegasus.modeling_bigbird_pegasus
    config = transformers.BigBirdPegasusConfig(
        d_model=case.num_heads * case.head_dim,
        encoder_attention_heads=case.num_heads,
        block_size=case.block_size,
        num_random_blocks=case.num_random_blocks,
    )
    attention = library.BigBirdPegasusBlockSparseAttention(config, seed=0).eval()
    missing = -case.length % case.block_size
    hidden = [
        torch.nn.functional.pad(x, (0, 0, 0, missing))
        for x in (inputs.query, inputs.key, inputs.value)
    ]
    mask = torch.nn.functional.pad((inputs.key_mask != 0).to(torch.float64), (0, missing))
    encoder = library.BigBirdPegasusEncoder
    blocked, band, rows, columns = encoder.create_masks_for_block_sparse_attn(mask, case.block_size)
    sizes = case.num_heads, case.num_random_blocks, case.head_dim, case.block_size, case.block_size
    length = case.length + missing
    context, _ = attention.bigbird_block_sparse_attention(
        *hidden,
        *(band, rows, columns, blocked, blocked),
        *sizes,
        *(case.batch, length, length),
        seed=0,
        plan_from_length=None,
        plan_num_rand_blocks=None,
    )
    expected: npt.NDArray[np.float64] = context.transpose(1, 2)[:, :, : case.length].numpy()
    return expected


@pytest.mark.parametrize("mask", ["none", "end", "holes"])
@pytest.mark.parametrize(
    ("block_size", "num_random_blocks"), [(16, 1), (16, 2), (16, 3), (32, 2), (64, 3)]
)
def test_hf_eval_is_what_transformers_computes(
    block_size: int, num_random_blocks: int, mask: str
) -> None:
    least = 5 + 2 * num_random_blocks + 1  # blocks: fewer are attended to in full
    for length in (least * block_size, (least + 2) * block_size - 7):
        case = AttentionCase(
            length=length,
            block_size=block_size,
            num_random_blocks=num_random_blocks,
            num_heads=2 if block_size == 16 else 1,
            batch=2 if block_size == 16 else 1,
            mask=mask,
            dtype="float64",
        )
        inputs = random_inputs(case)
        assert_close(reference(case, inputs), transformers_attention(case, inputs))


def test_hf_eval_without_random_blocks_counts_the_first_block_once() -> None:
    """For which transformers has no code: against a plan that names no block."""
    case = AttentionCase(length=150, num_random_blocks=0, dtype="float64", mask="end")
    inputs = random_inputs(case)
    nowhere = np.full((8, 1), 99, np.int32)
    with_plan = attend(
        make_spec(num_heads=1, num_random_blocks=1),
        *inputs.in_float64,
        inputs.key_mask.numpy(),
        nowhere,
    )
    assert_close(reference(case, inputs), with_plan)


@pytest.mark.parametrize("mask", ["none", "end", "holes"])
@pytest.mark.parametrize(("length", "block_size"), [(1040, 64), (640, 64), (400, 32), (391, 32)])
def test_a_plan_is_what_the_exporter_computes(length: int, block_size: int, mask: str) -> None:
    case = AttentionCase(
        length=length, block_size=block_size, num_heads=2, batch=2, mask=mask, dtype="float64"
    )
    inputs = random_inputs(case)
    table = seeded_blocks(
        layer=3, num_heads=2, max_tokens=2048, block_size=block_size, num_random_blocks=3
    )
    pattern = SparsePattern(
        block_size=block_size,
        num_random_blocks=3,
        longest_full=0,
        random_blocks=torch.from_numpy(table),
    )
    query, key, value = (_merge_heads(x) for x in (inputs.query, inputs.key, inputs.value))
    mask01 = (inputs.key_mask != 0).to(torch.int64)
    expected = attend_block_sparse(query, key, value, mask01, 2, pattern)
    plan = table.reshape(-1, 3)  # [H, M, r] -> [L', r]
    got = attend(case.spec, *inputs.in_float64, inputs.key_mask.numpy(), plan)
    assert_close(got.transpose(0, 2, 1, 3).reshape(expected.shape), expected)


def _merge_heads(hidden: Tensor) -> Tensor:
    """[B, H, S, Dh] -> [B, S, D]."""
    return hidden.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("mask", ["none", "end", "holes"])
@pytest.mark.parametrize("has_plan", [False, True])
def test_short_sources_are_attended_to_in_full(has_plan: bool, mask: str) -> None:
    for length in (1, 16, 100, 128):
        case = AttentionCase(
            length=length,
            longest_full=128,
            num_heads=2,
            batch=2,
            mask=mask,
            dtype="float64",
            has_plan=has_plan,
        )
        inputs = random_inputs(case)
        assert_close(reference(case, inputs), _plain_attention(inputs))
    longer = AttentionCase(length=129, longest_full=128, dtype="float64", mask=mask)
    inputs = random_inputs(longer)
    assert np.abs(reference(longer, inputs) - _plain_attention(inputs)).max() > 0.1


def _plain_attention(inputs: AttentionInputs) -> npt.NDArray[np.float64]:
    """torch's, over all keys; rows that are padding are zero."""
    mask = inputs.key_mask != 0
    attended = torch.nn.functional.scaled_dot_product_attention(
        inputs.query, inputs.key, inputs.value, attn_mask=mask[:, None, None]
    )
    kept = torch.where(mask[:, None, :, None], attended, 0.0)
    result: npt.NDArray[np.float64] = kept.numpy()
    return result


@pytest.mark.parametrize("has_plan", [False, True])
def test_queries_that_are_padding_come_out_as_zero(has_plan: bool) -> None:
    case = AttentionCase(length=150, mask="holes", dtype="float64", has_plan=has_plan)
    inputs = random_inputs(case)
    got = reference(case, inputs)
    is_padding = inputs.key_mask[0].numpy() == 0
    assert not got[:, :, is_padding].any()
    assert np.abs(got[:, :, ~is_padding]).max(axis=3).min() > 0


def test_queries_that_see_no_key_come_out_as_zero() -> None:
    case = AttentionCase(length=150, dtype="float64")
    inputs = random_inputs(case)
    got = attend(case.spec, *inputs.in_float64, np.zeros((1, 150), np.int32))
    assert not got.any()  # and is a number


def test_scores_that_no_exponential_takes_are_no_problem() -> None:
    case = AttentionCase(length=120, dtype="float64", mask="holes")
    query, key, value = random_inputs(case).in_float64
    mask = random_inputs(case).key_mask.numpy()
    assert np.isfinite(attend(case.spec, 1e4 * query, key, value, mask)).all()


def test_the_first_block_counts_one_more_time_than_there_are_random_blocks() -> None:
    for r in range(4):
        times = count_blocks(make_spec(num_heads=1, num_random_blocks=r), 7 * 16)
        assert times[0].tolist() == [
            [1, 1, 1, 1, 1, 1, 1],
            [1 + r, 1, 1, 0, 0, 0, 1],
            [1 + r, 1, 1, 1, 0, 0, 1],
            [1 + r, 0, 1, 1, 1, 0, 1],
            [1 + r, 0, 0, 1, 1, 1, 1],
            [1 + r, 0, 0, 0, 1, 1, 1],
            [1, 1, 1, 1, 1, 1, 1],
        ]


def test_a_block_of_the_plan_counts_as_often_as_it_is_listed() -> None:
    spec = make_spec(num_heads=2, num_random_blocks=2)
    first = [[0, 3], [4, 4], [1, 9], [2, 2]]  # 9 is beyond the source
    second = [[5, 1], [0, 0], [0, 0], [6, 0]]
    times = count_blocks(spec, 5 * 16 + 3, np.array([*first, *second]))
    assert times[0, 1:5].tolist() == [
        [2, 1, 1, 1, 0, 1],
        [1, 1, 1, 1, 2, 1],
        [1, 1, 1, 1, 1, 1],
        [1, 0, 2, 1, 1, 1],
    ]
    assert times[1, 1].tolist() == [1, 2, 1, 0, 0, 2]
    assert times[1, 4].tolist() == [2, 0, 0, 1, 1, 1]
    assert (times[:, [0, 5]] == 1).all()


def test_rows_of_the_plan_beyond_the_source_are_ignored() -> None:
    spec = make_spec(num_heads=2, num_random_blocks=1)
    short = np.array([[1], [2], [3], [4]])
    longer = np.array([[1], [2], [0], [0], [3], [4], [0], [0]])
    assert np.array_equal(count_blocks(spec, 64, short), count_blocks(spec, 64, longer))


@pytest.mark.parametrize("num_blocks", [1, 2, 3])
def test_few_blocks_are_all_seen(num_blocks: int) -> None:
    times = count_blocks(make_spec(num_heads=1, num_random_blocks=2), 16 * num_blocks)[0]
    expected = np.ones((num_blocks, num_blocks))
    if num_blocks == 3:
        expected[1, 0] = 3
    assert np.array_equal(times, expected)


def test_a_plan_that_is_too_short_is_refused() -> None:
    with pytest.raises(SpecificationError, match="the plan has 2 rows per head, a source of 96"):
        count_blocks(make_spec(num_heads=1, num_random_blocks=1), 96, np.zeros((2, 1), np.int32))
