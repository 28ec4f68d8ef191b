"""The kernels, through Triton's interpreter, against the reference.

A case of each kind rather than all of all kinds: the interpreter takes milliseconds for a step.
"""

from dataclasses import replace

import pytest
import torch

from pegasus_plugins.kernel_file import KernelFileError, KernelVariant
from pegasus_plugins.reference import attend as reference
from pegasus_plugins.specification import SpecificationError
from pegasus_plugins.tuning import Tuning
from plugins.attention_case import AttentionCase, AttentionInputs, random_inputs
from plugins.tolerances import assert_close

WIDE = 40
"""Multiprocessors of a GPU on which few heads leave most idle, so that the ends are split."""


@pytest.fixture(autouse=True)
def _needs_triton() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")


def check(
    case: AttentionCase, *, num_sms: int | None = None, tuning: Tuning | None = None
) -> torch.Tensor:
    """Computes it both ways; returns what the kernels give."""
    inputs = random_inputs(case)
    got = run(case, inputs, num_sms=num_sms, tuning=tuning)
    plan = None if inputs.plan is None else inputs.plan.numpy()
    assert str(got.dtype) == f"torch.{case.dtype}"
    assert_close(got, reference(case.spec, *inputs.in_float64, inputs.key_mask.numpy(), plan))
    return got


def run(
    case: AttentionCase,
    inputs: AttentionInputs,
    *,
    num_sms: int | None = None,
    tuning: Tuning | None = None,
) -> torch.Tensor:
    from pegasus_plugins.run_kernels import attend

    tensors = inputs.query, inputs.key, inputs.value, inputs.key_mask, inputs.plan
    return attend(case.spec, *tensors, num_sms=num_sms, tuning=tuning)


CASES = [
    # Lengths: 1 block, 2, 3, 4, many; whole blocks and not.
    AttentionCase(length=1),
    AttentionCase(length=16, num_random_blocks=0),
    AttentionCase(length=17, num_random_blocks=1, mask="end"),
    AttentionCase(length=32, mask="holes"),
    AttentionCase(length=33, num_random_blocks=2),
    AttentionCase(length=48, mask="end", has_plan=True),
    AttentionCase(length=50, num_random_blocks=1, mask="holes"),
    AttentionCase(length=75, num_random_blocks=2, has_plan=True, num_heads=2, batch=2),
    AttentionCase(length=111, mask="blocks", batch=2, num_heads=2),
    # Blocks and heads of all sizes, every type.
    AttentionCase(length=200, block_size=32, head_dim=64, num_random_blocks=2, mask="holes"),
    AttentionCase(length=160, block_size=32, head_dim=128, num_random_blocks=1, has_plan=True),
    AttentionCase(length=250, block_size=64, head_dim=64, mask="end"),
    AttentionCase(length=192, block_size=64, head_dim=32, has_plan=True),
    AttentionCase(length=300, block_size=128, num_random_blocks=2),
    AttentionCase(length=90, dtype="float16", mask="holes", num_heads=3, batch=2),
    AttentionCase(length=300, dtype="float16", block_size=64, head_dim=64, mask="end"),
    AttentionCase(length=512, dtype="float16", block_size=64, head_dim=64, has_plan=True),
    AttentionCase(length=500, dtype="float16", block_size=128, head_dim=128, num_random_blocks=1),
    AttentionCase(length=180, dtype="bfloat16", block_size=32, head_dim=128, mask="blocks"),
    AttentionCase(length=330, dtype="bfloat16", block_size=64, head_dim=64, has_plan=True),
    # In full, whether the kernel has a plan or not.
    AttentionCase(length=60, longest_full=60, mask="holes", batch=2),
    AttentionCase(length=50, longest_full=704, num_random_blocks=1, has_plan=True, num_heads=2),
    AttentionCase(length=81, longest_full=80, mask="end"),
    AttentionCase(length=250, longest_full=300, block_size=128, dtype="float16", mask="end"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_kernel_computes_what_is_specified(case: AttentionCase) -> None:
    check(case)


SPLIT_CASES = [
    AttentionCase(length=9 * 16, num_heads=2, batch=2),
    AttentionCase(length=17 * 16 - 5, mask="holes", head_dim=64),
    AttentionCase(length=17 * 16, mask="end"),  # no key is visible of the last splits,
    AttentionCase(length=10 * 16, mask="start"),  # and of the first
    AttentionCase(length=10 * 16 + 1, has_plan=True, mask="blocks"),
    AttentionCase(length=9 * 64 - 60, block_size=64, dtype="float16", head_dim=64),
    AttentionCase(length=12 * 32, block_size=32, dtype="bfloat16", mask="holes"),
]


@pytest.mark.parametrize("case", SPLIT_CASES, ids=str)
def test_keys_of_the_ends_may_be_split_among_programs(case: AttentionCase) -> None:
    check(case, num_sms=WIDE)


def test_a_split_may_be_left_without_blocks() -> None:
    # 81 blocks among 10 programs, nine each: nothing is left for the tenth
    check(AttentionCase(length=81 * 16), num_sms=5)


@pytest.mark.parametrize(("tile_rows", "tile_keys"), [(16, 16), (16, 32), (32, 16)])
def test_tiles_may_be_smaller_than_blocks(tile_rows: int, tile_keys: int) -> None:
    tuning = Tuning(tile_rows=tile_rows, tile_keys=tile_keys, num_warps=4, num_stages=2)
    case = AttentionCase(length=5 * 32 - 7, block_size=32, has_plan=True, mask="end")
    check(case, tuning=tuning)


def test_tiles_smaller_than_blocks_are_split_too() -> None:
    tuning = Tuning(tile_rows=16, tile_keys=32, num_warps=4, num_stages=2)
    case = AttentionCase(length=9 * 32 - 7, block_size=32, mask="holes")
    check(case, num_sms=WIDE, tuning=tuning)


@pytest.mark.parametrize("num_sms", [1, WIDE])
def test_where_no_key_is_visible_everything_is_zero(num_sms: int) -> None:
    case = AttentionCase(length=9 * 16 - 3, batch=2)
    inputs = random_inputs(case)
    mask = inputs.key_mask.clone()
    mask[0] = 0
    got = run(case, replace(inputs, key_mask=mask), num_sms=num_sms)
    assert not got[0].any()
    assert torch.isfinite(got).all()
    assert got[1].abs().amax(dim=-1).min() > 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_stands_in_masked_keys_and_queries_does_not_matter() -> None:
    case = AttentionCase(length=90, mask="end")
    inputs = random_inputs(case)
    is_padding = inputs.key_mask[0] == 0
    assert is_padding.any()
    key, query = inputs.key.clone(), inputs.query.clone()
    key[:, :, is_padding] = float("inf")
    query[:, :, is_padding] = float("nan")
    got = run(case, replace(inputs, key=key, query=query))
    assert torch.equal(got, run(case, inputs))


def test_large_scores_do_not_overflow() -> None:
    case = AttentionCase(length=80, dtype="float16")
    inputs = random_inputs(case)
    large = replace(inputs, query=100 * inputs.query)
    got = run(case, large)
    assert torch.isfinite(got).all()
    assert_close(got, reference(case.spec, *large.in_float64, large.key_mask.numpy()))


def test_what_stands_behind_the_tensors_does_not_matter() -> None:
    """The last block, the mask and the plan end where they end."""
    case = AttentionCase(length=67, num_heads=2, has_plan=True)
    inputs = random_inputs(case)
    poisoned = {
        name: _before_garbage(getattr(inputs, name))
        for name in ("query", "key", "value", "key_mask")
    }
    assert torch.equal(run(case, replace(inputs, **poisoned)), run(case, inputs))


def _before_garbage(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, with others after them in memory."""
    garbage = torch.full((4096,), 99, dtype=tensor.dtype)
    return torch.cat([tensor.flatten(), garbage])[: tensor.numel()].view(tensor.shape)


def test_the_variant_is_that_of_the_inputs() -> None:
    from pegasus_plugins.run_kernels import variant_of

    case = AttentionCase(length=100, dtype="float16", has_plan=True)
    inputs = random_inputs(case)
    assert variant_of(case.spec, inputs.query, inputs.plan) == KernelVariant(
        dtype="float16", head_dim=32, block_size=16, plan_columns=3
    )
    assert variant_of(case.spec, inputs.query, None).plan_columns == 0


def test_inputs_that_do_not_fit_the_attributes_are_refused() -> None:
    case = AttentionCase(length=100, num_heads=2, has_plan=True)
    inputs = random_inputs(case)
    three = replace(case, num_heads=3)
    with pytest.raises(SpecificationError, match="query has 2 heads, num_heads is 3"):
        run(three, inputs)
    assert inputs.plan is not None
    with pytest.raises(SpecificationError, match="the plan has 2 columns"):
        run(case, replace(inputs, plan=inputs.plan[:, :2]))
    for change, message in (
        (
            {"key": inputs.key[:, :, 1:]},
            r"key has shape \[1, 2, 99, 32\], expected \[1, 2, 100, 32",
        ),
        ({"value": inputs.value[:, :1]}, r"value has shape \[1, 1, 100, 32\]"),
        ({"key_mask": inputs.key_mask[0]}, r"key_mask has shape \[100\], expected \[1, 100\]"),
        ({"query": inputs.query.mT.contiguous().mT}, "an input is not contiguous, .*: copy it"),
    ):
        with pytest.raises(SpecificationError, match=message):
            run(case, replace(inputs, **change))
    wide = AttentionCase(length=100, head_dim=48)
    with pytest.raises(KernelFileError, match="no kernel computes float32 with head dim 48"):
        run(wide, random_inputs(wide))
