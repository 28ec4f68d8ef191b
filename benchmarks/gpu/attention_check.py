"""Are the kernels right on this GPU? Each against the reference in float64, at small shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from pegasus_plugins import reference
from pegasus_plugins.specification import AttentionSpec
from ratio_table import format_columns

__all__ = ["CheckCase", "CheckResult", "check_kernels", "format_checks", "gpu_cases", "tiny_cases"]

TOLERANCES = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}
"""Of outputs of about unit size; bfloat16 has 8 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCase:
    """One attention: some keys and queries are padding."""

    dtype: str
    length: int
    block_size: int
    head_dim: int
    has_plan: bool = False
    longest_full: int = 0
    batch: int = 2
    heads: int = 2
    num_random_blocks: int = 3

    @property
    def spec(self) -> AttentionSpec:
        return AttentionSpec(
            num_heads=self.heads,
            block_size=self.block_size,
            num_random_blocks=self.num_random_blocks,
            longest_full=self.longest_full,
            scale=1 / math.sqrt(self.head_dim),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    case: CheckCase
    error: float
    """The largest, of any number of the output; may be nan."""

    @property
    def is_right(self) -> bool:
        return self.error <= TOLERANCES[self.case.dtype]


def gpu_cases() -> list[CheckCase]:
    """All dtypes, head dims and block sizes, both patterns, in full and not, ends split and not."""
    cases = []
    for dtype in TOLERANCES:
        for head_dim, block_size in ((32, 16), (64, 32), (64, 64), (128, 64), (64, 128)):
            usual = CheckCase(
                dtype=dtype, length=11 * block_size - 7, block_size=block_size, head_dim=head_dim
            )
            cases.append(usual)
        cases.append(CheckCase(dtype=dtype, length=700, block_size=64, head_dim=64, has_plan=True))
        cases.append(CheckCase(dtype=dtype, length=700, block_size=64, head_dim=64, heads=16))
        full = CheckCase(
            dtype=dtype, length=700, block_size=64, head_dim=64, longest_full=704, batch=1
        )
        cases.append(full)
    return cases


def tiny_cases() -> list[CheckCase]:
    """For Triton's interpreter, which takes milliseconds for a block."""
    return [
        CheckCase(dtype=dtype, length=75, block_size=16, head_dim=32, batch=1, has_plan=has_plan)
        for dtype, has_plan in (("float32", False), ("float16", True))
    ]


def check_kernels(cases: list[CheckCase], *, device: str) -> list[CheckResult]:
    return [CheckResult(case=case, error=_largest_error(case, device)) for case in cases]


def _largest_error(case: CheckCase, device: str) -> float:
    from pegasus_plugins.run_kernels import attend

    rng = np.random.default_rng(0)
    shape = (case.batch, case.heads, case.length, case.head_dim)
    dtype: torch.dtype = getattr(torch, case.dtype)
    query, key, value = (torch.from_numpy(rng.standard_normal(shape)).to(dtype) for _ in range(3))
    mask = (rng.random((case.batch, case.length)) < 0.9).astype(np.int32)
    plan = None
    if case.has_plan:
        num_blocks = case.spec.num_blocks(case.length)
        rows = case.heads * num_blocks
        plan = rng.integers(0, num_blocks + 1, (rows, case.num_random_blocks), dtype=np.int32)
    got = attend(
        case.spec,
        query.to(device),
        key.to(device),
        value.to(device),
        torch.from_numpy(mask).to(device),
        None if plan is None else torch.from_numpy(plan).to(device),
    )
    exact_query, exact_key, exact_value = (x.double().numpy() for x in (query, key, value))
    expected = reference.attend(case.spec, exact_query, exact_key, exact_value, mask, plan)
    return float(np.abs(got.double().cpu().numpy() - expected).max())


def format_checks(results: list[CheckResult]) -> str:
    """One line for each."""
    rows = [("kernel against the reference", "tokens", "Dh", "b", "error", "at most", "")]
    for result in results:
        case = result.case
        pattern = "in full" if case.longest_full else "plan" if case.has_plan else "hf-eval"
        rows.append(
            (
                f"{case.dtype}, {pattern}",
                f"{case.length}",
                f"{case.head_dim}",
                f"{case.block_size}",
                f"{result.error:.1e}",
                f"{TOLERANCES[case.dtype]:.0e}",
                "right" if result.is_right else "WRONG",
            )
        )
    return format_columns(rows)
